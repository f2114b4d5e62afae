// JSON that clients send, read without losing digits of 64-bit ids. Promises: what is not the wanted shape is refused with 400.
import type { Dialect } from './dialect.ts';
import { Refusal } from './reply.ts';

/** One object of a request. Keys are the documents' own; a dialect that spells its replies otherwise takes any case. */
export class RequestObject {
  readonly #members: ReadonlyMap<string, unknown>;
  readonly #anyCase: boolean;

  constructor(value: unknown, dialect: Pick<Dialect, 'keys'>) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(400, 'Bad Request');
    this.#anyCase = dialect.keys !== 'observed';
    this.#members = new Map(Object.entries(value).map(([key, member]) => [this.#spelled(key), member]));
  }

  has(key: string): boolean {
    return this.#members.has(this.#spelled(key));
  }

  text(key: string): string | undefined {
    const value = this.#members.get(this.#spelled(key));
    return typeof value === 'string' ? value : undefined;
  }

  /** An integer, written as a number or a string. */
  integer(key: string): bigint | undefined {
    const value = this.#members.get(this.#spelled(key));
    if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
    return typeof value === 'string' && /^[0-9]{1,19}$/.test(value) ? BigInt(value) : undefined;
  }

  /** The objects of an array; absent and null are undefined. */
  objects(key: string): readonly RequestObject[] | undefined {
    const value = this.#members.get(this.#spelled(key));
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value)) throw new Refusal(400, 'Bad Request');
    return value.map((one) => new RequestObject(one, { keys: this.#anyCase ? 'lower' : 'observed' }));
  }

  #spelled(key: string): string {
    return this.#anyCase ? key.toLowerCase() : key;
  }
}

/** Parses a body; numbers too long for a double arrive as strings. */
export function parseRequest(text: string): unknown {
  try {
    // Strings are passed over whole, so that digits within them stay what they are.
    return JSON.parse(
      text.replace(/"(?:[^"\\]|\\.)*"|\b\d{16,}\b/g, (found) => (found[0] === '"' ? found : `"${found}"`)),
    );
  } catch {
    throw new Refusal(400, 'Bad Request');
  }
}

/** The objects of an array of 1 to `max`, the documents' limit of most calls by default. */
export function requestObjects(
  text: string,
  dialect: Pick<Dialect, 'keys'>,
  max = OBJECTS_MAX,
): readonly RequestObject[] {
  const value = parseRequest(text);
  if (!Array.isArray(value) || value.length === 0) throw new Refusal(400, 'Bad Request');
  if (value.length > max) throw new Refusal(400, `Max Limit Is ${max}`);
  return value.map((one) => new RequestObject(one, dialect));
}

const OBJECTS_MAX = 20;
