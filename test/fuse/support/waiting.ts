// Operations whose every answer comes some milliseconds later, or rejects at once if it is aborted before.
import type { Answer, Caller, Operations } from '../../../src/fs-ops/operations.ts';
import type { MemoryOperations } from './memory-operations.ts';

/** Those that answer nothing a caller waits for. */
const IMMEDIATE: ReadonlySet<PropertyKey> = new Set(['forget', 'release', 'releaseDirectory', 'capacity']);

type Method = (...args: unknown[]) => unknown;

function isCaller(value: unknown): value is Caller {
  return typeof value === 'object' && value !== null && 'signal' in value;
}

/** The same operations, each answering late. */
export function waiting(operations: MemoryOperations): Operations {
  let count = 0;
  const later = (caller: Caller, answer: () => Answer<unknown>): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const abort = (): void => {
        clearTimeout(timer);
        operations.aborted++;
        reject(new DOMException('aborted', 'AbortError'));
      };
      const timer = setTimeout(() => {
        caller.signal.removeEventListener('abort', abort);
        // A verb that throws must reject, not end the process.
        Promise.resolve().then(answer).then(resolve, reject);
      }, count++ % 4);
      caller.signal.addEventListener('abort', abort, { once: true });
    });
  return new Proxy<Operations>(operations, {
    get(_target, key) {
      const value: unknown = Reflect.get(operations, key, operations);
      if (typeof value !== 'function') return value;
      const method: Method = (...args) => (value as Method).apply(operations, args);
      if (IMMEDIATE.has(key)) return method;
      return (...args: unknown[]) => {
        // What a WRITE brings is the transport's, and changes.
        const kept = args.map((argument) => (argument instanceof Uint8Array ? Uint8Array.from(argument) : argument));
        const caller = args.find(isCaller);
        return caller === undefined ? method(...args) : later(caller, () => method(...kept));
      };
    },
  });
}
