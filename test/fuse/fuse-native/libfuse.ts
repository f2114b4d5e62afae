// libfuse without a kernel: sends requests to a session as the binding does, and gets the answers.
import type { Operations } from '../../../src/fs-ops/operations.ts';
import type { OperationName, Waiting } from '../../../src/fuse/fuse-native/binding.ts';
import { Session } from '../../../src/fuse/fuse-native/session.ts';

/** As large as the binding's own memory of a thread. */
const THREAD_BYTES = 512;

export class Libfuse {
  readonly session: Session;
  readonly #handlers: ReturnType<Session['handlers']>;
  readonly #waiting = new Map<Waiting, (answer: readonly unknown[]) => void>();
  readonly #memoryOf: (waiting: Waiting) => void;

  /** `memoryOf` fills in what the binding would keep of a request. */
  constructor(operations: Operations, memoryOf: (waiting: Waiting) => void = () => undefined) {
    this.#memoryOf = memoryOf;
    this.session = new Session(operations, () => (waiting, result, ...rest) => {
      const answered = this.#waiting.get(waiting);
      if (answered === undefined) throw new Error('answered twice, or never asked');
      this.#waiting.delete(waiting);
      answered([result, ...rest]);
    });
    this.#handlers = this.session.handlers(() => undefined);
  }

  /** Sends a request: resolves with the result and what follows it. */
  ask(name: OperationName, ...args: readonly unknown[]): Promise<readonly unknown[]> {
    const handler = this.#handlers.get(name);
    if (handler === undefined) throw new Error(`no handler for ${name}`);
    const waiting = Buffer.alloc(THREAD_BYTES);
    this.#memoryOf(waiting);
    return new Promise((resolve) => {
      this.#waiting.set(waiting, resolve);
      handler(waiting, 0, ...args);
    });
  }

  /** The result alone. */
  async result(name: OperationName, ...args: readonly unknown[]): Promise<number> {
    return Number((await this.ask(name, ...args))[0]);
  }

  /** Opens or creates, and returns libfuse's handle. */
  async handle(name: 'open' | 'create' | 'opendir', ...args: readonly unknown[]): Promise<number> {
    const [result, handle] = await this.ask(name, ...args);
    if (result !== 0) throw new Error(`${name}: ${String(result)}`);
    return Number(handle);
  }

  /** Up to 100 bytes from the beginning of what is open. */
  async content(path: string, handle: number): Promise<string> {
    const room = Buffer.from(new ArrayBuffer(100));
    const [result] = await this.ask('read', path, handle, room, room.length, 0, 0);
    if (Number(result) < 0) throw new Error(`read: ${String(result)}`);
    return room.subarray(0, Number(result)).toString();
  }

  async write(path: string, handle: number, text: string): Promise<number> {
    const data = Buffer.from(text);
    return this.result('write', path, handle, data, data.length, 0, 0);
  }
}
