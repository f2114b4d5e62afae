// JSON of requests: strict where replies are lenient. Ids are written as the bare numbers they are, though they pass 2^53.
import { RemoteError } from '../../remote-drive.ts';
import type { RemoteId } from '../../remote-drive.ts';

/** An id, to be written as a number. */
export interface BareId {
  readonly digits: string;
}

export type JsonField = string | number | boolean | BareId | readonly Readonly<Record<string, string>>[];

/** Marks an id for {@link jsonObject}. Never 0: the service would take it for a place that does not exist. */
export function bareId(id: RemoteId<string>): BareId {
  if (!/^[1-9]\d*$/.test(id)) throw new RemoteError('invalid', `${id} is no id that can be sent`);
  return { digits: id };
}

/** An object of these fields, in their order. */
export function jsonObject(fields: Readonly<Record<string, JsonField>>): string {
  const members = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === 'object' && 'digits' in value ? value.digits : JSON.stringify(value);
    return `${JSON.stringify(name)}:${text}`;
  });
  return `{${members.join(',')}}`;
}
