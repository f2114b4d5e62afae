// The metrics of one mount: listens before there is anything to tell, so that an address that cannot be had fails the mount before it is made,
// and asks for the readings only when somebody asks for the text. What is asked often is gathered seldom.
import { performance } from 'node:perf_hooks';
import type { Readings } from './readings.ts';
import { takeProcessReadings } from './process-readings.ts';
import { type MetricsServer, type Page, serveMetrics } from './server.ts';

/** Whoever asks oftener gets the text of before: far below any scrape interval. */
const FRESH_MS = 250;
/** Gathering may take this part of the time at most: with very many pending changes the text is older. */
const SHARE_MAX = 0.05;

/** Shares the text of one gathering with all who ask meanwhile and shortly after. */
export class Metrics {
  #gather: (() => Promise<Page>) | undefined;
  #page: Promise<Page> | undefined;
  #freshUntilMs = 0;

  /** Begins to tell. */
  async begin(readings: () => Promise<Readings>): Promise<void> {
    // Only here: a mount without metrics does without the library.
    const { Exposition } = await import('./exposition.ts');
    const exposition = new Exposition();
    this.#gather = async () => {
      const process = await takeProcessReadings();
      return { contentType: exposition.contentType, text: await exposition.text({ ...(await readings()), process }) };
    };
  }

  /** Has nothing to tell any more; resolves when nothing is gathered. */
  async end(): Promise<void> {
    this.#gather = undefined;
    await Promise.allSettled([this.#page]);
  }

  /** The text; undefined before begin(). */
  page(): Promise<Page> | undefined {
    if (this.#gather === undefined) return undefined;
    if (this.#page !== undefined && performance.now() < this.#freshUntilMs) return this.#page;
    const begunMs = performance.now();
    this.#freshUntilMs = Infinity;
    this.#page = this.#gather().finally(() => {
      const endedMs = performance.now();
      this.#freshUntilMs = endedMs + Math.max(FRESH_MS, (endedMs - begunMs) / SHARE_MAX);
    });
    return this.#page;
  }
}

export interface RunningMetrics extends MetricsServer {
  /** Also ends what is gathered just now: the readings' sources may be stopped then. May be called again. */
  stop(): Promise<void>;
  begin(readings: () => Promise<Readings>): Promise<void>;
}

/** Listens; answers that there is nothing yet until begin(). Rejects with one line for the user. */
export async function openMetrics(address: { readonly host: string; readonly port: number }): Promise<RunningMetrics> {
  const metrics = new Metrics();
  const server = await serveMetrics(address, () => metrics.page());
  let stopped: Promise<void> | undefined;
  return {
    ...server,
    begin: (readings) => metrics.begin(readings),
    stop: () => (stopped ??= server.stop().then(() => metrics.end())),
  };
}
