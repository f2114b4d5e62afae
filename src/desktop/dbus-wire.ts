// D-Bus messages as bytes: values of a signature, and a message's header around them. Source: the D-Bus specification, "Type System" and
// "Message Protocol". Knows the types that calls of a desktop's services are made of, and no connection.

/** A value and what type it is of, for a `v`. */
export interface Variant {
  readonly signature: string;
  readonly value: Value;
}

/** Numbers for `y`, `b`, `n`, `q`, `i` and `u`; lists for arrays, structs and dictionary entries. */
export type Value = number | string | readonly Value[] | Variant;

/** A method to be called. */
export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly body: readonly Value[];
}

/** A message that came. Its body is not looked at before it is asked for: signals may carry types that nobody here knows. */
export interface Message {
  readonly type: 'call' | 'reply' | 'error' | 'signal' | 'unknown';
  /** Of the call that it answers; 0: it answers none. */
  readonly replySerial: number;
  readonly errorName: string;
  readonly signature: string;
  body(): Value[];
}

/** Header fields by their codes. */
const FIELD = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, signature: 8 } as const;
const TYPES = ['unknown', 'call', 'reply', 'error', 'signal'] as const;
const PROTOCOL_VERSION = 1;
/** Byte order, type, flags, version, length of the body, serial, length of the fields. */
const FIXED_BYTES = 16;
const ALIGNMENT: Readonly<Record<string, number>> = { n: 2, q: 2, b: 4, i: 4, u: 4, s: 4, o: 4, a: 4, '(': 8, '{': 8 };
/** Answers are numbers and short lists of words. What is made to take long to read takes 2 s a megabyte, in which nobody is served. */
export const MESSAGE_BYTES_MAX = 64 * 1024;

/** A method call as bytes; `serial` is the connection's count, from 1 on. */
export function encodeCall(call: MethodCall, serial: number): Buffer {
  const body = encode(call.signature, call.body);
  const fields: Value[] = [
    [FIELD.path, { signature: 'o', value: call.path }],
    [FIELD.interface, { signature: 's', value: call.interface }],
    [FIELD.member, { signature: 's', value: call.member }],
    [FIELD.destination, { signature: 's', value: call.destination }],
    ...(call.signature === '' ? [] : [[FIELD.signature, { signature: 'g', value: call.signature }]]),
  ];
  const header = ['l'.charCodeAt(0), TYPES.indexOf('call'), 0, PROTOCOL_VERSION, body.length, serial, fields];
  const head = encode('yyyyuua(yv)', header);
  return Buffer.concat([head, Buffer.alloc(-head.length & 7), body]);
}

/** How many bytes the message at the beginning of `bytes` has; undefined while too few are there to tell. Throws where none begins there. */
export function messageLength(bytes: Buffer): number | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  const isLittle = isLittleEndian(bytes);
  const at = (offset: number): number => (isLittle ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset));
  const total = align(FIXED_BYTES + at(12), 8) + at(4);
  if (total > MESSAGE_BYTES_MAX) throw new Error(`a message of ${total} bytes`);
  return total;
}

/** Reads one whole message. */
export function decodeMessage(bytes: Buffer): Message {
  const isLittle = isLittleEndian(bytes);
  const header = new Decoder(bytes, isLittle);
  const [, type, , , bodyBytes, , entries] = header.all('yyyyuua(yv)') as [
    number,
    number,
    number,
    number,
    number,
    number,
    [number, Value][],
  ];
  const fields = new Map(entries);
  const text = (code: number): string => {
    const value = fields.get(code);
    return typeof value === 'string' ? value : '';
  };
  const replySerial = fields.get(FIELD.replySerial);
  const signature = text(FIELD.signature);
  return {
    type: TYPES[type] ?? 'unknown',
    replySerial: typeof replySerial === 'number' ? replySerial : 0,
    errorName: text(FIELD.errorName),
    signature,
    body: () => new Decoder(bytes.subarray(bytes.length - bodyBytes), isLittle).all(signature),
  };
}

function isLittleEndian(bytes: Buffer): boolean {
  const mark = String.fromCharCode(bytes[0] ?? 0);
  if (mark !== 'l' && mark !== 'B') throw new Error('what came is no message of D-Bus');
  return mark === 'l';
}

function align(offset: number, to: number): number {
  return Math.ceil(offset / to) * to;
}

/** The values of a signature as bytes, from an offset that everything is aligned at. */
function encode(signature: string, values: readonly Value[]): Buffer {
  const encoder = new Encoder();
  typesOf(signature).forEach((type, index) => encoder.put(type, values[index] as Value));
  return encoder.bytes();
}

/** The complete types that a signature is made of: "sa{sv}u" has three. */
function typesOf(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length;) {
    const end = endOfType(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}

function endOfType(signature: string, at: number): number {
  const code = signature[at];
  if (code === undefined) throw new Error(`the signature "${signature}" is cut off`);
  if (code === 'a') return endOfType(signature, at + 1);
  if (code !== '(' && code !== '{') return at + 1;
  let end = at + 1;
  while (signature[end] !== ')' && signature[end] !== '}') end = endOfType(signature, end);
  return end + 1;
}

class Encoder {
  #bytes: number[] = [];

  bytes(): Buffer {
    return Buffer.from(this.#bytes);
  }

  put(type: string, value: Value): void {
    const code = type[0] ?? '';
    this.#pad(ALIGNMENT[code] ?? 1);
    switch (code) {
      case 'y':
        this.#bytes.push(value as number);
        return;
      case 'i':
      case 'u':
      case 'b':
        this.#put32(value as number);
        return;
      case 's':
      case 'o':
        this.#putText(value as string, (length) => this.#put32(length));
        return;
      case 'g':
        this.#putText(value as string, (length) => this.#bytes.push(length));
        return;
      case 'v': {
        const { signature, value: inner } = value as Variant;
        this.put('g', signature);
        this.put(signature, inner);
        return;
      }
      case 'a':
        this.#putArray(type.slice(1), value as readonly Value[]);
        return;
      case '(':
      case '{':
        typesOf(type.slice(1, -1)).forEach((inner, index) =>
          this.put(inner, (value as readonly Value[])[index] as Value),
        );
        return;
      default:
        throw new Error(`values of the type "${type}" are not sent`);
    }
  }

  #putArray(type: string, values: readonly Value[]): void {
    const lengthAt = this.#bytes.length;
    this.#put32(0);
    this.#pad(ALIGNMENT[type[0] ?? ''] ?? 1);
    const start = this.#bytes.length;
    for (const value of values) this.put(type, value);
    this.#write32(this.#bytes.length - start, lengthAt);
  }

  #putText(text: string, putLength: (length: number) => void): void {
    const bytes = Buffer.from(text);
    putLength(bytes.length);
    for (const byte of bytes) this.#bytes.push(byte);
    this.#bytes.push(0);
  }

  #put32(value: number): void {
    this.#bytes.push(0, 0, 0, 0);
    this.#write32(value, this.#bytes.length - 4);
  }

  #write32(value: number, at: number): void {
    for (let index = 0; index < 4; index += 1) this.#bytes[at + index] = (value >>> (8 * index)) & 0xff;
  }

  #pad(to: number): void {
    while (this.#bytes.length % to !== 0) this.#bytes.push(0);
  }
}

class Decoder {
  readonly #bytes: Buffer;
  readonly #isLittle: boolean;
  #at = 0;

  constructor(bytes: Buffer, isLittle: boolean) {
    this.#bytes = bytes;
    this.#isLittle = isLittle;
  }

  all(signature: string): Value[] {
    return typesOf(signature).map((type) => this.#take(type));
  }

  #take(type: string): Value {
    const code = type[0] ?? '';
    this.#at = align(this.#at, ALIGNMENT[code] ?? 1);
    switch (code) {
      case 'y':
        return this.#number(1);
      case 'n':
      case 'q':
        return this.#number(2);
      case 'i':
        return this.#number(4) | 0;
      case 'u':
      case 'b':
        return this.#number(4);
      case 's':
      case 'o':
        return this.#text(this.#number(4));
      case 'g':
        return this.#text(this.#number(1));
      case 'v':
        // Its type is told by itself: who reads it wants the value.
        return this.#take(this.#text(this.#number(1)));
      case 'a':
        return this.#array(type.slice(1));
      case '(':
      case '{':
        return this.all(type.slice(1, -1));
      default:
        throw new Error(`values of the type "${type}" are not read`);
    }
  }

  #array(type: string): Value[] {
    const length = this.#number(4);
    this.#at = align(this.#at, ALIGNMENT[type[0] ?? ''] ?? 1);
    const end = this.#at + length;
    const values: Value[] = [];
    while (this.#at < end) {
      const before = this.#at;
      values.push(this.#take(type));
      // Or a list of nothing would never end.
      if (this.#at === before) throw new Error(`values of the type "${type}" have no bytes`);
    }
    return values;
  }

  #text(length: number): string {
    const text = this.#bytes.toString('utf8', this.#at, this.#at + length);
    this.#at += length + 1;
    return text;
  }

  #number(size: 1 | 2 | 4): number {
    const at = this.#at;
    this.#at += size;
    return this.#isLittle ? this.#bytes.readUIntLE(at, size) : this.#bytes.readUIntBE(at, size);
  }
}
