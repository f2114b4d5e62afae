// A whole reply body to a JSON value.
import { RemoteError } from '../../remote-drive.ts';
import { parseLossless } from './lossless-json.ts';

/** Parses a reply; undefined stands for one that was too long. Rejects with `protocol`, naming the call. */
export function parseReply(bytes: Buffer | undefined, call: string): unknown {
  if (bytes === undefined) throw new RemoteError('protocol', `${call}: the reply is longer than any of its kind`);
  const text = bytes.toString('utf8');
  try {
    return parseLossless(text);
  } catch (error) {
    const start = text.trim().slice(0, 60).replace(/\s+/g, ' ');
    throw new RemoteError('protocol', `${call}: the reply is not JSON: ${start === '' ? '(empty)' : start}`, {
      cause: error,
    });
  }
}
