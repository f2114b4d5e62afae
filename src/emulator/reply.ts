// What a call answers, before a socket is involved: status, headers and a body that may be a stream.
// Must not know: which call it was, faults, bandwidth.
import type { Dialect } from './dialect.ts';
import { WireWriter } from './wire-json.ts';
import type { WireValue } from './wire-json.ts';

export type Chunk = string | Uint8Array;

export interface Reply {
  readonly status: number;
  /** The reason phrase; Node's own for the status when absent. */
  readonly reason?: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream's chunk is the writer's until it asks for the next one. */
  readonly body: string | AsyncIterable<Chunk>;
  /** The stream's length, when it is to be announced. */
  readonly lengthBytes?: number;
  /** Called once when the reply is over, sent or not. */
  readonly done?: () => Promise<void>;
}

/** A call refused with one of the texts of the documents; handlers throw it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
    super(text);
    this.status = status;
    this.headers = headers;
  }
}

/** Writes replies in one dialect. */
export class ReplyWriter {
  readonly dialect: Dialect;
  readonly #json: WireWriter;

  constructor(dialect: Dialect) {
    this.dialect = dialect;
    this.#json = new WireWriter(dialect);
  }

  get writer(): WireWriter {
    return this.#json;
  }

  json(value: WireValue): Reply {
    return this.#jsonReply(this.text(value));
  }

  /** A value as it stands in a body. */
  text(value: WireValue): string {
    return this.#json.write(value);
  }

  /** A body of JSON text that comes in pieces. */
  jsonStream(pieces: AsyncIterable<string>): Reply {
    return this.#jsonReply(pieces);
  }

  #jsonReply(body: string | AsyncIterable<string>): Reply {
    const { byteOrderMark, contentType } = this.dialect;
    return {
      status: 200,
      headers: { 'Content-Type': contentType },
      body: byteOrderMark ? (typeof body === 'string' ? `\uFEFF${body}` : prefixed('\uFEFF', body)) : body,
    };
  }

  refusal({ status, message: text, headers }: Refusal): Reply {
    // Header bytes: what Latin-1 lacks cannot stand in a reason phrase.
    const reason = text.replace(/[^\x20-\x7e]/g, '?');
    switch (this.dialect.errors) {
      case 'json': {
        const body = this.text({ StatusCode: status, StatusDescription: text });
        return { status, reason, headers: { ...headers, 'Content-Type': this.dialect.contentType }, body };
      }
      case 'text':
        return { status, headers: { ...headers, 'Content-Type': 'text/plain' }, body: text };
      case 'reason-only':
        return { status, reason, headers, body: '' };
      case 'fault':
        return {
          status,
          headers: { ...headers, 'Content-Type': 'application/json' },
          body: faultBody(text, 'refused'),
        };
    }
  }
}

async function* prefixed(prefix: string, pieces: AsyncIterable<string>): AsyncIterable<string> {
  yield prefix;
  yield* pieces;
}

/** The gateway's own error body, the same in every dialect. */
export function faultBody(text: string, code: string): string {
  return JSON.stringify({ fault: { faultstring: text, detail: { errorcode: code } } });
}
