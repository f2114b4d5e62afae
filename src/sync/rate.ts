// How many bytes a second went out lately.

/** Long enough to be steady, short enough to tell the present. */
const WINDOW_MS = 10_000;

export class Rate {
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  add(bytes: number, nowMs: number): void {
    if (bytes <= 0) return;
    const last = this.#samples.at(-1);
    // One sample for each tenth of a second: uploads tell of every piece.
    if (last !== undefined && nowMs - last.atMs < 100)
      this.#samples[this.#samples.length - 1] = { atMs: last.atMs, bytes: last.bytes + bytes };
    else this.#samples.push({ atMs: nowMs, bytes });
    this.#drop(nowMs);
  }

  perSecond(nowMs: number): number {
    this.#drop(nowMs);
    const [first] = this.#samples;
    if (first === undefined) return 0;
    let bytes = 0;
    for (const sample of this.#samples) bytes += sample.bytes;
    return bytes / (Math.max(1_000, nowMs - first.atMs) / 1_000);
  }

  #drop(nowMs: number): void {
    const from = this.#samples.findIndex(({ atMs }) => nowMs - atMs <= WINDOW_MS);
    this.#samples = from < 0 ? [] : this.#samples.slice(from);
  }
}
