// The load's worker processes, as the rounds see them: told to go, to stop, what became of a change, and asked to look.
import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Expectation, type LogLine } from './expectation.ts';

const program = fileURLToPath(new URL('load.mjs', import.meta.url));
/** A dead mount answers at once; a look reads some megabytes. */
const ANSWER_TIMEOUT_MS = 60_000;

type Answer =
  | { readonly type: 'ready' | 'stopped' | 'settled' }
  | { readonly type: 'broken'; readonly message: string }
  | { readonly type: 'looked'; readonly differences: readonly string[] };

export interface WorkerOptions {
  readonly mountpoint: string;
  /** Where the logs are kept. */
  readonly directory: string;
  readonly worker: number;
  readonly seed: number;
}

/** How a worker goes on. */
export interface Pace {
  /** Begins with a file of several chunks. */
  readonly large: boolean;
  /** So long it works, then so long it rests, and so on. */
  readonly busyMs: number;
  readonly quietMs: number;
}

/** One worker and what it was promised. */
export class Worker {
  readonly name: string;
  readonly expectation = new Expectation();
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #ready: Promise<Answer>;
  #readChars = 0;
  #stopped: Promise<Answer> | undefined;

  constructor({ mountpoint, directory, worker, seed }: WorkerOptions) {
    this.name = String(worker);
    this.#logFile = join(directory, `worker${worker}.jsonl`);
    this.#child = fork(program, [mountpoint, this.#logFile, this.name, String(seed)], { execArgv: [] });
    this.#ready = this.#answer();
  }

  async go(pace: Pace): Promise<void> {
    await this.#ready;
    this.#stopped = this.#answer();
    // Whoever waits for it hears of it; it may come before.
    this.#stopped.catch(() => undefined);
    this.#child.send({ type: 'go', ...pace });
  }

  /** Of a mount that is dead: resolves when the worker has noticed; rejects when a call failed otherwise. Reads its log. */
  async stopped(): Promise<void> {
    this.#child.send({ type: 'hurry' });
    await this.#stopped;
    const text = readFileSync(this.#logFile, 'utf8');
    const lines = text.slice(this.#readChars).split('\n').filter(Boolean);
    this.#readChars = text.length;
    this.expectation.add(lines.map((line) => JSON.parse(line) as LogLine));
  }

  async settle(happened: boolean): Promise<void> {
    await this.#ask({ type: 'settle', happened });
  }

  /** What differs on the mount from what it was promised. */
  async look(): Promise<readonly string[]> {
    const answer = await this.#ask({ type: 'look' });
    return answer.type === 'looked' ? answer.differences : [];
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await new Promise((resolve) => {
      this.#child.once('close', resolve);
      this.#child.kill('SIGKILL');
    });
  }

  #ask(question: object): Promise<Answer> {
    const answer = this.#answer();
    this.#child.send(question);
    return answer;
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => {
        clearTimeout(timer);
        this.#child.off('message', onMessage);
        this.#child.off('exit', onExit);
        finish();
      };
      const onMessage = (answer: Answer): void =>
        settle(() => {
          if (answer.type === 'broken') reject(new Error(`worker ${this.name}: ${answer.message}`));
          else resolve(answer);
        });
      const onExit = (): void => settle(() => reject(new Error(`worker ${this.name} ended`)));
      const timer = setTimeout(
        () => settle(() => reject(new Error(`worker ${this.name} does not answer`))),
        ANSWER_TIMEOUT_MS,
      );
      this.#child.on('message', onMessage);
      this.#child.once('exit', onExit);
    });
  }
}
