// A question that the user answers in a browser: its address is opened or shown, and the answer comes back to this machine or is pasted.
// Promises: it ends by itself, and leaves terminal, port and signals as they were; what is a secret is not shown while it is pasted. Must not
// know what is asked, nor what the answer is worth.
import { createInterface } from 'node:readline';
import { formatDuration } from '../base/quantities.ts';
import { openBrowser } from './browser.ts';
import type { CallbackReader } from './callback-server.ts';
import type { CliContext } from './context.ts';

export interface BrowserQuestion<A> {
  /** Where to listen, and how to read what comes back; undefined where the browser cannot come back here. */
  readonly callback: { readonly url: URL; readonly reader: CallbackReader<A> } | undefined;
  /** The address to be opened. `back` is where this machine listens, if it does. */
  address(back: string | undefined, signal: AbortSignal): Promise<URL>;
  /** Whether to open it, or only to show it. */
  readonly opens: boolean;
  /** How the answer may be pasted; undefined: not at all. */
  readonly paste: PastedAnswer<A> | undefined;
  readonly timeoutMs: number;
  /** "nobody signed in", for the message when time is up. */
  readonly missing: string;
}

export interface PastedAnswer<A> {
  /** What to do, for the user. */
  readonly instruction: string;
  /** Undefined: that is no answer. */
  read(text: string): A | undefined;
  /** What to say to that. */
  readonly complaint: string;
  readonly isSecret: boolean;
}

/** Asks, and resolves with what `use` makes of the answer, within the same limits. */
export async function askBrowser<A, T>(
  context: CliContext,
  question: BrowserQuestion<A>,
  use: (answer: A, back: string | undefined, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { callback, paste, timeoutMs, missing } = question;
  const leaving = new AbortController();
  const { signal } = leaving;
  const onSignal = (): void => leaving.abort(new Error(`interrupted: ${missing}, nothing was changed`));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const late = (): void =>
    leaving.abort(new Error(`${missing} within ${formatDuration(timeoutMs)}; nothing was changed`));
  const timer = setTimeout(late, timeoutMs);
  const stops: (() => unknown)[] = [];
  try {
    // Loaded here: no other command listens.
    const { startCallbackServer } = await import('./callback-server.ts');
    const server = callback === undefined ? undefined : await startCallbackServer(callback.url, callback.reader);
    if (server !== undefined) stops.push(() => server.stop());
    const address = await question.address(server?.url, signal);
    const opened = question.opens && (await openBrowser(address, context.environment));
    context.warnPlain(opened ? 'Your browser opens this address:' : 'Open this address in a browser:');
    context.warnPlain(`\n  ${address.href}\n`);
    if (paste !== undefined) context.warnPlain(paste.instruction);
    const answers = [server?.answer, paste === undefined ? undefined : pasted(context, paste, stops)];
    const answer = await Promise.race([...answers.filter((one) => one !== undefined), untilAborted(signal)]);
    return await use(answer, server?.url, signal);
  } finally {
    clearTimeout(timer);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, onSignal);
    for (const stop of stops.reverse()) await stop();
  }
}

/** Whether a secret can be pasted without being shown: hidden on a terminal, or from what is none. */
export function mayPasteSecret(context: CliContext): boolean {
  return context.prompt !== undefined || !process.stdin.isTTY;
}

function pasted<A>(context: CliContext, paste: PastedAnswer<A>, stops: (() => unknown)[]): Promise<A> {
  return paste.isSecret && context.prompt !== undefined
    ? typed(context.prompt, paste, stops)
    : lineOfInput(context, paste, stops);
}

/** Asked until it is an answer. */
async function typed<A>(
  prompt: NonNullable<CliContext['prompt']>,
  paste: PastedAnswer<A>,
  stops: (() => unknown)[],
): Promise<A> {
  const answered = new AbortController();
  const asking = (async (): Promise<A> => {
    for (;;) {
      const text = await prompt.ask('> ', { hidden: true, signal: answered.signal });
      const answer = text === '' ? undefined : paste.read(text);
      if (answer !== undefined) return answer;
      if (text !== '') prompt.say(paste.complaint);
    }
  })();
  stops.push(async () => {
    answered.abort(new Error('answered'));
    // The terminal is as it was only then; whoever awaits the answer has its failure.
    await asking.catch(() => undefined);
  });
  return asking;
}

function lineOfInput<A>(context: CliContext, paste: PastedAnswer<A>, stops: (() => unknown)[]): Promise<A> {
  return new Promise((resolve) => {
    const lines = createInterface({ input: process.stdin });
    stops.push(() => {
      lines.close();
      process.stdin.destroy();
    });
    // The end of the input leaves the browser's way.
    lines.on('line', (line) => {
      const text = line.trim();
      if (text === '') return;
      const answer = paste.read(text);
      if (answer === undefined) context.warnPlain(paste.complaint);
      else resolve(answer);
    });
  });
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
