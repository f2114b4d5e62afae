// Questions on a terminal, answers that must not be seen included. Promises: the terminal is as it was afterwards, whatever happens;
// Ctrl-C and the end of the input reject. Must not know what is asked.
import { StringDecoder } from 'node:string_decoder';
import type { ReadStream } from 'node:tty';

/** A terminal to ask on. */
export interface PromptTerminal {
  readonly input: Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>;
  readonly output: { write(text: string): unknown };
}

/** The user left instead of answering. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted: nothing was changed');
  }
}

const CONTROL = { c: '\u0003', d: '\u0004', u: '\u0015', backspace: '\u0008', delete: '\u007f' } as const;
/** What arrow keys and the like send. */
const ESCAPE_SEQUENCE = /\u001b(\[[0-9;?]*[ -/]*[@-~]|O.)?/g;

/** Asks questions, one after the other; what is typed ahead answers the next one. */
export class Prompt {
  readonly #terminal: PromptTerminal;
  readonly #decoder = new StringDecoder('utf8');
  #typed = '';
  /** Questions and conversations under way. */
  #held = 0;

  constructor(terminal: PromptTerminal) {
    this.#terminal = terminal;
  }

  /** Shows a line. */
  say(line: string): void {
    this.#terminal.output.write(`${line}\n`);
  }

  /** Has what is typed shown by questions alone while `work` asks several: a secret may be pasted before its question is there. */
  async conversation<T>(work: () => Promise<T>): Promise<T> {
    const { input } = this.#terminal;
    this.#held += 1;
    if (this.#held === 1) input.setRawMode(true);
    try {
      return await work();
    } finally {
      this.#held -= 1;
      if (this.#held === 0) input.setRawMode(false);
    }
  }

  /**
   * The answer, trimmed; empty for Enter alone. A `hidden` one is not shown while it is typed, and is what was typed, blanks included. Rejects
   * when the user leaves, and when the signal says that nobody needs the answer any more.
   */
  async ask(
    question: string,
    { hidden = false, signal }: { readonly hidden?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<string> {
    signal?.throwIfAborted();
    const { input, output } = this.#terminal;
    try {
      // The terminal shows nothing by itself before the question: whoever answers it at once is not shown either.
      return await this.conversation(async () => {
        output.write(question);
        return await this.#line(hidden, signal);
      });
    } finally {
      input.pause();
      output.write('\n');
    }
  }

  #line(hidden: boolean, signal: AbortSignal | undefined): Promise<string> {
    const { input, output } = this.#terminal;
    let answer = '';
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        input.off('data', onData);
        input.off('end', onEnd);
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const erase = (count: number): void => {
        if (!hidden) output.write('\b \b'.repeat(count));
      };
      const take = (): void => {
        for (const [index, character] of Array.from(this.#typed).entries()) {
          if (character === '\r' || character === '\n') {
            this.#typed = Array.from(this.#typed)
              .slice(index + 1)
              .join('');
            end(() => resolve(hidden ? answer : answer.trim()));
            return;
          }
          if (character === CONTROL.c || (character === CONTROL.d && answer === '')) {
            this.#typed = '';
            end(() => reject(new Interrupted()));
            return;
          }
          if (character === CONTROL.u) {
            erase(Array.from(answer).length);
            answer = '';
          } else if (character === CONTROL.backspace || character === CONTROL.delete) {
            if (answer !== '') erase(1);
            answer = Array.from(answer).slice(0, -1).join('');
          } else if (character >= ' ') {
            answer += character;
            if (!hidden) output.write(character);
          }
        }
        this.#typed = '';
      };
      const onData = (chunk: Buffer): void => {
        this.#typed += this.#decoder.write(chunk).replace(ESCAPE_SEQUENCE, '');
        take();
      };
      const onEnd = (): void => end(() => reject(new Interrupted()));
      const onAbort = (): void => end(() => reject(signal?.reason as Error));
      input.on('data', onData);
      input.on('end', onEnd);
      signal?.addEventListener('abort', onAbort, { once: true });
      input.resume();
      take();
    });
  }
}
