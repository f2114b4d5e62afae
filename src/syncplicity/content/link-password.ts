// Keeps the password that a call sends out of what is said about the call. The service's words are shown only where they have nothing in
// common with it: they may repeat it whole, escaped, or cut anywhere.
import { STATUS_CODES } from 'node:http';
import { RemoteError } from '../../remote-drive.ts';
import { ReplyError } from '../errors.ts';

/** Shorter pieces stand in other words by chance; a password that is shorter counts as a whole. */
const PIECE_CHARACTERS = 4;
const SECRET = '[secret]';

/** What the documents have the service say of links: words that repeat nothing. */
const DOCUMENTED = [
  'Password policy Prohibits sharing',
  'Policy Prohibits Sharing',
  'spVirtualFolderGetById did not return a result when one was expected',
  'Token Not found',
  'User Not Authorized For Action',
] as const;

/** Runs a call that sends a password; its refusal says nothing of it. */
export async function withoutPassword<T>(password: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (password === undefined || password === '' || !(error instanceof RemoteError)) throw error;
    const message = cleanMessage(error, password);
    // Without its cause, whose message logs would show.
    throw message === error.message ? error : new RemoteError(error.kind, message);
  }
}

function cleanMessage(error: RemoteError, password: string): string {
  const reply = replyOf(error);
  if (reply === undefined) return error.message.replaceAll(password, SECRET);
  const { text, status } = reply;
  const isStatusOnly = text.toLowerCase() === STATUS_CODES[status]?.toLowerCase();
  if (text === '' || isStatusOnly || !overlaps(text, password)) return error.message;
  const documented = DOCUMENTED.find((words) => text.toLowerCase().startsWith(words.toLowerCase()));
  if (documented !== undefined && documented.length === text.length) return error.message;
  return error.message.replaceAll(text, documented === undefined ? SECRET : `${documented} ${SECRET}`);
}

/** The refusal that an error is or comes from. */
function replyOf(error: unknown): ReplyError | undefined {
  for (let one = error; one instanceof Error; one = one.cause) if (one instanceof ReplyError) return one;
  return undefined;
}

function overlaps(text: string, password: string): boolean {
  const lower = text.toLowerCase();
  const length = Math.min(PIECE_CHARACTERS, password.length);
  for (let start = 0; start + length <= password.length; start += 1) {
    if (lower.includes(password.slice(start, start + length).toLowerCase())) return true;
  }
  return escaped(password).some((form) => lower.includes(form.toLowerCase()));
}

function escaped(password: string): readonly string[] {
  const html = password.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  const named = password
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
  const base64 = Buffer.from(password).toString('base64').replace(/=+$/, '');
  return [JSON.stringify(password).slice(1, -1), encodeURIComponent(password), html, named, base64];
}
