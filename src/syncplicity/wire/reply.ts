// A whole reply body to a JSON value.
import { RemoteError } from '../../remote-drive.ts';
import { cutOff, isCutOff } from './cut-off.ts';
import { parseLossless } from './lossless-json.ts';
import { printable } from './printable.ts';
import { webPage } from './web-page.ts';

/**
 * Parses a reply; undefined stands for one that was too long. Rejects with `protocol`, or `unavailable` for one that was
 * cut off or is a web page, naming the call; the message shows how the reply begins unless it is `secret`.
 */
export function parseReply(
  bytes: Buffer | undefined,
  call: string,
  options: { readonly secret?: boolean } = {},
): unknown {
  if (bytes === undefined) throw new RemoteError('protocol', `${call}: the reply is longer than any of its kind`);
  const text = bytes.toString('utf8');
  try {
    return parseLossless(text);
  } catch (error) {
    if (isCutOff(text)) throw cutOff(call);
    const page = webPage(text, call);
    if (page !== undefined) throw page;
    // The parser's message quotes what it stumbled over, too.
    if (options.secret === true) throw new RemoteError('protocol', `${call}: the reply is not JSON`);
    const start = printable(text.trim().slice(0, 60));
    throw new RemoteError('protocol', `${call}: the reply is not JSON: ${start === '' ? '(empty)' : start}`, {
      cause: error,
    });
  }
}
