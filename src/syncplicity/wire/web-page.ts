// A web page in place of an answer: what a hotel's network, a proxy or a load balancer says for the service, often with a 200. It tells
// nothing of what was asked for, so it counts as no answer. Looks at the text only: some servers call their JSON text/html.
import { RemoteError } from '../../remote-drive.ts';
import { printable } from './printable.ts';

/**
 * How a page begins, comments and an XML declaration aside. A comment ends at its first end and nowhere else: where it could be taken to go on
 * over others, a text of comments alone would be tried in as many ways as they can be put together.
 */
const beginning = /^(?:\s|<\?xml[^>]*>|<!--(?:(?!-->)[\s\S])*-->)*<(?:!doctype\s+html|html)\b/i;
/** A page says what it is at its beginning. */
const looksAt = 4_096;
const titleMax = 80;

/** The failure of a call that a web page was the reply to; undefined for any other text. */
export function webPage(text: string, call: string): RemoteError | undefined {
  const start = text.slice(0, looksAt);
  if (!beginning.test(start)) return undefined;
  const title = printable(/<title[^>]*>([^<]*)/i.exec(start)?.[1] ?? '').slice(0, titleMax);
  const named = title === '' ? '' : ` (${JSON.stringify(title)})`;
  return new RemoteError(
    'unavailable',
    `${call}: a web page came instead of an answer${named}: a proxy, or a network that wants a sign-in in the browser, answers for the service`,
  );
}
