// Counts the calls that arrive, by endpoint, and the most that arrived within any one second.

export interface CallCounts {
  readonly total: number;
  readonly byEndpoint: Readonly<Record<string, number>>;
  /** Gateway calls within the busiest second. */
  readonly peakPerSecond: number;
  /** Calls answered 429. */
  readonly throttled: number;
  /** Body bytes the vault sent. */
  readonly vaultBytes: number;
}

export class CallCounter {
  readonly #byEndpoint = new Map<string, number>();
  #recent: number[] = [];
  #peakPerSecond = 0;
  #throttled = 0;
  #vaultBytes = 0;

  count(endpoint: string, isGatewayCall: boolean): void {
    this.#byEndpoint.set(endpoint, (this.#byEndpoint.get(endpoint) ?? 0) + 1);
    if (!isGatewayCall) return;
    const now = performance.now();
    this.#recent = this.#recent.filter((time) => now - time < 1000);
    this.#recent.push(now);
    this.#peakPerSecond = Math.max(this.#peakPerSecond, this.#recent.length);
  }

  countThrottled(): void {
    this.#throttled++;
  }

  countVaultBytes(bytes: number): void {
    this.#vaultBytes += bytes;
  }

  counts(): CallCounts {
    const byEndpoint = Object.fromEntries(this.#byEndpoint);
    const total = [...this.#byEndpoint.values()].reduce((sum, count) => sum + count, 0);
    const [peakPerSecond, throttled, vaultBytes] = [this.#peakPerSecond, this.#throttled, this.#vaultBytes];
    return { total, byEndpoint, peakPerSecond, throttled, vaultBytes };
  }

  reset(): void {
    this.#byEndpoint.clear();
    this.#recent = [];
    this.#peakPerSecond = 0;
    this.#throttled = 0;
    this.#vaultBytes = 0;
  }
}
