// The text Prometheus reads, through prom-client: each metric takes its values from the readings of the scrape, none is counted a second
// time beside what the rooms count anyway. Loaded only where metrics are wanted.
import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { type Family, families, type Scrape } from './families.ts';
import type { LatencyReading } from './readings.ts';

export class Exposition {
  readonly #registry = new Registry();
  #scrape: Scrape | undefined;

  constructor() {
    const scrape = (): Scrape | undefined => this.#scrape;
    for (const family of families) addFamily(this.#registry, family, scrape);
    // The registry asks for a name and get(), which its types leave out.
    this.#registry.registerMetric(new LatencyHistogram(scrape) as unknown as Metric);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of one scrape. Not to be called again before it has resolved. */
  async text(scrape: Scrape): Promise<string> {
    this.#scrape = scrape;
    try {
      return await this.#registry.metrics();
    } finally {
      this.#scrape = undefined;
    }
  }
}

function addFamily(
  registry: Registry,
  { name, kind, help, labels, samples }: Family,
  scrape: () => Scrape | undefined,
): void {
  const config = { name, help, labelNames: [...labels], registers: [registry] };
  const fill = (
    metric: Counter | Gauge,
    add: (labels: Readonly<Record<string, string>>, value: number) => void,
  ): void => {
    const now = scrape();
    metric.reset();
    // What has no labels begins with a series of value 0.
    if (labels.length === 0) metric.remove({});
    if (now !== undefined) for (const [value, of = {}] of samples(now)) add(of, value);
  };
  if (kind === 'counter') {
    new Counter({
      ...config,
      collect() {
        fill(this, (of, value) => this.inc(of, value));
      },
    });
  } else {
    new Gauge({
      ...config,
      collect() {
        fill(this, (of, value) => this.set(of, value));
      },
    });
  }
}

/** A metric's value as prom-client's registry writes it down. */
interface HistogramValue {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** Histograms that were counted elsewhere: prom-client's own class has no way in for whole buckets. */
class LatencyHistogram {
  readonly name = 'syncplicityfs_fuse_request_duration_seconds';
  readonly help =
    'Time from reading a request of the kernel to its answer; what the kernel wants no answer to is left out.';
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #scrape: () => Scrape | undefined;

  constructor(scrape: () => Scrape | undefined) {
    this.#scrape = scrape;
  }

  get(): Promise<
    Pick<LatencyHistogram, 'name' | 'help' | 'type' | 'aggregator'> & { readonly values: HistogramValue[] }
  > {
    const { name, help, type, aggregator } = this;
    return Promise.resolve({ name, help, type, aggregator, values: this.#values() });
  }

  #values(): HistogramValue[] {
    const { byOpcode, latencyBoundsSeconds: bounds } = this.#scrape()?.fuse ?? {
      byOpcode: {},
      latencyBoundsSeconds: [],
    };
    return Object.entries(byOpcode).flatMap(([opcode, { latency }]) =>
      latency === undefined ? [] : this.#valuesOf(opcode, latency, bounds),
    );
  }

  #valuesOf(opcode: string, { counts, sumSeconds }: LatencyReading, bounds: readonly number[]): HistogramValue[] {
    let count = 0;
    // A bucket has all that is below its bound.
    const buckets = counts.map((inBucket, index) => {
      count += inBucket;
      return { metricName: `${this.name}_bucket`, labels: { opcode, le: bounds[index] ?? '+Inf' }, value: count };
    });
    // An opcode whose requests are never answered has none.
    if (count === 0) return [];
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels: { opcode }, value: sumSeconds },
      { metricName: `${this.name}_count`, labels: { opcode }, value: count },
    ];
  }
}
