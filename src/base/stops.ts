// What was started, to be stopped in the opposite order, each once, also when an earlier stop fails.

/** A stack of stops. */
export class Stops {
  readonly #stops: { readonly what: string; readonly stop: () => Promise<void> | void }[] = [];

  /** To be called right after `what` was started. */
  add(what: string, stop: () => Promise<void> | void): void {
    this.#stops.push({ what, stop });
  }

  /** Stops all, last first. Resolves with what failed, named; never rejects. */
  async run(): Promise<Error[]> {
    const failures: Error[] = [];
    for (let entry = this.#stops.pop(); entry !== undefined; entry = this.#stops.pop()) {
      try {
        await entry.stop();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        failures.push(new Error(`stopping the ${entry.what} failed: ${reason}`, { cause: error }));
      }
    }
    return failures;
  }
}
