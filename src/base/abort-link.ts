// Several reasons to stop as one signal, without leaving anything behind on those that live long: AbortSignal.any keeps its
// dependents in every source until they are collected.

export interface AbortLink {
  /** Aborts with the reason of the first source that does. */
  readonly signal: AbortSignal;
  /** Lets go of the sources. Harmless when called twice. */
  release(): void;
}

/** Links the sources; undefined ones are ignored. The caller must release the link. */
export function linkAborts(...sources: readonly (AbortSignal | undefined)[]): AbortLink {
  const controller = new AbortController();
  const present = sources.filter((source) => source !== undefined);
  const listeners = present.map((source) => {
    const listener = (): void => controller.abort(source.reason);
    source.addEventListener('abort', listener, { once: true });
    if (source.aborted) listener();
    return { source, listener };
  });
  return {
    signal: controller.signal,
    release(): void {
      for (const { source, listener } of listeners) source.removeEventListener('abort', listener);
    },
  };
}
