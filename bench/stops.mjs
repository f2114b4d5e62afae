// What has to be stopped when the run ends, in whatever way: newest first, each bounded in time, none skipped because another failed.

const STOP_LIMIT_MS = 45_000;

export class Stops {
  #stops = [];

  /** Answers a function that stops it now. */
  add(name, stop) {
    const entry = { name, stop };
    this.#stops.push(entry);
    return async () => {
      const index = this.#stops.indexOf(entry);
      if (index < 0) return;
      this.#stops.splice(index, 1);
      await stop();
    };
  }

  /** Answers what could not be stopped, one line each. */
  async run() {
    const failures = [];
    for (let entry = this.#stops.pop(); entry !== undefined; entry = this.#stops.pop()) {
      let timer;
      const late = new Promise((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error('it takes too long')), STOP_LIMIT_MS);
      });
      try {
        await Promise.race([entry.stop(), late]);
      } catch (error) {
        failures.push(`${entry.name}: ${error.message}`);
      } finally {
        clearTimeout(timer);
      }
    }
    return failures;
  }
}
