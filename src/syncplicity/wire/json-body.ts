// JSON of requests: strict where replies are lenient. Ids are written as the bare numbers they are, though they pass 2^53.
import { RemoteError } from '../../remote-drive.ts';
import type { RemoteId } from '../../remote-drive.ts';

/** An id, to be written as a number. */
export class BareId {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }
}

export type JsonField = string | number | boolean | BareId | readonly JsonField[] | JsonFields;
/** Members that are undefined are not written. */
export interface JsonFields {
  readonly [name: string]: JsonField | undefined;
}

/** Marks an id for {@link jsonObject}. Never 0: the service would take it for a place that does not exist. */
export function bareId(id: RemoteId<string>): BareId {
  if (!/^[1-9]\d*$/.test(id)) throw new RemoteError('invalid', `${id} is no id that can be sent`);
  return new BareId(id);
}

/** An object of these fields, in their order. */
export function jsonObject(fields: JsonFields): string {
  const members = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`${JSON.stringify(name)}:${jsonText(value)}`],
  );
  return `{${members.join(',')}}`;
}

/** An array of such objects. */
export function jsonArray(objects: readonly JsonFields[]): string {
  return `[${objects.map(jsonObject).join(',')}]`;
}

function jsonText(value: JsonField): string {
  if (value instanceof BareId) return value.digits;
  if (typeof value !== 'object') return JSON.stringify(value);
  return isList(value) ? `[${value.map(jsonText).join(',')}]` : jsonObject(value);
}

function isList(value: readonly JsonField[] | JsonFields): value is readonly JsonField[] {
  return Array.isArray(value);
}
