// A promise with its two ends in hand (Promise.withResolvers, which Node 20 lacks).

export interface Deferred<T> {
  readonly promise: Promise<T>;
  /** Both may be called again without effect. */
  readonly resolve: (value: T) => void;
  readonly reject: (reason: Error) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: ((value: T) => void) | undefined;
  let reject: ((reason: Error) => void) | undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve: resolve as (value: T) => void, reject: reject as (reason: Error) => void };
}
