// multipart/form-data (RFC 7578) read as a stream. Promises: a part's bytes reach its taker as they come, never gathered; any
// boundary, any order of parts; what is not well-formed is refused, an end without the closing boundary included.
// Must not know: which parts a call needs.

export interface PartHead {
  readonly name: string;
  readonly fileName: string | undefined;
}

/** Takes a part's bytes; `end` follows when the part is complete. */
export interface PartTaker {
  take(bytes: Uint8Array): Promise<void> | void;
  end(): Promise<void> | void;
}

/** The body is not multipart/form-data as the RFCs have it. */
export class MalformedForm extends Error {
  override readonly name = 'MalformedForm';
}

const CRLF = '\r\n';
const HEAD_BYTES_MAX = 16 * 1024;

/** The boundary a Content-Type names; undefined when it is not multipart/form-data. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70})(?=[\s;,]|$))/i.exec(
    contentType ?? '',
  );
  return match?.[1] ?? match?.[2];
}

/** Reads a form; `taker` is asked for each part in turn. Throws MalformedForm. */
export async function readForm(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  taker: (head: PartHead) => PartTaker,
): Promise<void> {
  const input = new Input(body);
  // A delimiter begins with the line end before it; the first one may stand at the very start.
  const delimiter = Buffer.from(`${CRLF}--${boundary}`);
  const first = Buffer.from(`--${boundary}`);
  try {
    if (!(await input.startsWith(first))) await input.passUntil(delimiter, discard);
    else input.skip(first.byteLength);
    while (!(await endsHere(input))) {
      const part = taker(headOf(await input.text(Buffer.from(CRLF + CRLF), HEAD_BYTES_MAX)));
      await input.passUntil(delimiter, (bytes) => part.take(bytes));
      await part.end();
    }
    await input.drain();
  } finally {
    await input.leave();
  }
}

/** After a delimiter: `--` closes the form, a line end (blanks before it allowed) opens the next part. */
async function endsHere(input: Input): Promise<boolean> {
  if (await input.startsWith(Buffer.from('--'))) return true;
  const padding = await input.text(Buffer.from(CRLF), 256);
  if (/[^ \t]/.test(padding)) throw new MalformedForm('a boundary is followed by other text');
  return false;
}

function discard(): void {
  // The preamble means nothing.
}

function headOf(text: string): PartHead {
  let disposition: string | undefined;
  for (const line of text.split(CRLF)) {
    const colon = line.indexOf(':');
    if (colon <= 0) throw new MalformedForm('a part has a header without a colon, or no blank line after its headers');
    const [name, value] = [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
    if (name === 'content-disposition') disposition = value;
    if (name === 'content-transfer-encoding' && !/^(binary|8bit|7bit)$/i.test(value)) {
      throw new MalformedForm(`a part is encoded as ${value}`);
    }
  }
  if (disposition === undefined || !/^form-data\b/i.test(disposition)) {
    throw new MalformedForm('a part lacks Content-Disposition: form-data');
  }
  const name = parameter(disposition, 'name');
  if (name === undefined) throw new MalformedForm('a part has no name');
  const extended = /;\s*filename\*=utf-8'[^']*'([^;\s]+)/i.exec(disposition)?.[1];
  return { name, fileName: extended === undefined ? parameter(disposition, 'filename') : decoded(extended) };
}

/** A parameter's value: quoted, with backslash escapes of quotes, or a token. */
function parameter(header: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;"]+))`, 'i').exec(header);
  return match?.[1]?.replace(/\\(["\\])/g, '$1') ?? match?.[2];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new MalformedForm('a file name is badly encoded');
  }
}

/** The body with what is needed of it held. */
class Input {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#pieces = body[Symbol.asyncIterator]();
  }

  async startsWith(bytes: Buffer): Promise<boolean> {
    while (this.#held.byteLength < bytes.byteLength) await this.#more();
    return this.#held.subarray(0, bytes.byteLength).equals(bytes);
  }

  skip(bytes: number): void {
    this.#held = this.#held.subarray(bytes);
  }

  /** The text up to `end`, which is skipped. */
  async text(end: Buffer, bytesMax: number): Promise<string> {
    for (;;) {
      const at = this.#held.indexOf(end);
      if (at >= 0) {
        const text = this.#held.toString('utf8', 0, at);
        this.skip(at + end.byteLength);
        return text;
      }
      if (this.#held.byteLength > bytesMax) throw new MalformedForm('a header is too long');
      await this.#more();
    }
  }

  /** Hands on all bytes up to `end`, which is skipped. */
  async passUntil(end: Buffer, take: (bytes: Uint8Array) => Promise<void> | void): Promise<void> {
    for (;;) {
      const at = this.#held.indexOf(end);
      if (at >= 0) {
        if (at > 0) await take(this.#held.subarray(0, at));
        this.skip(at + end.byteLength);
        return;
      }
      // The last bytes may be the start of the end.
      const sure = this.#held.byteLength - (end.byteLength - 1);
      if (sure > 0) {
        await take(this.#held.subarray(0, sure));
        this.skip(sure);
      }
      await this.#more();
    }
  }

  /** Reads the rest, so that the connection can go on. */
  async drain(): Promise<void> {
    this.#held = Buffer.alloc(0);
    while ((await this.#pieces.next()).done !== true);
  }

  async leave(): Promise<void> {
    await this.#pieces.return?.();
  }

  async #more(): Promise<void> {
    const next = await this.#pieces.next();
    if (next.done === true) throw new MalformedForm('the form ends without its closing boundary');
    const { buffer, byteOffset, byteLength } = next.value;
    const piece = Buffer.from(buffer, byteOffset, byteLength);
    this.#held = this.#held.byteLength === 0 ? piece : Buffer.concat([this.#held, piece]);
  }
}
