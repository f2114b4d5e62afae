// Counts the calls that arrive, by endpoint, and the most that arrived within any one second.

export interface CallCounts {
  readonly total: number;
  readonly gateway: number;
  readonly vault: number;
  readonly byEndpoint: Readonly<Record<string, number>>;
  /** Gateway calls within the busiest second. */
  readonly peakPerSecond: number;
  /** Calls answered 429. */
  readonly throttled: number;
  /** By App Key; calls of no known app under none. */
  readonly byApp: Readonly<Record<string, { readonly gateway: number; readonly vault: number }>>;
  /** Body bytes the vault sent. */
  readonly vaultBytes: number;
  /** Body bytes the vault was sent. */
  readonly vaultBytesIn: number;
}

export class CallCounter {
  readonly #byEndpoint = new Map<string, number>();
  readonly #byApp = new Map<string, { gateway: number; vault: number }>();
  #recent: number[] = [];
  #peakPerSecond = 0;
  #throttled = 0;
  #vaultBytes = 0;
  #vaultBytesIn = 0;
  #vault = 0;

  count(endpoint: string, isGatewayCall: boolean, appKey?: string): void {
    if (appKey !== undefined) {
      const { gateway, vault } = this.#byApp.get(appKey) ?? { gateway: 0, vault: 0 };
      this.#byApp.set(appKey, isGatewayCall ? { gateway: gateway + 1, vault } : { gateway, vault: vault + 1 });
    }
    this.#byEndpoint.set(endpoint, (this.#byEndpoint.get(endpoint) ?? 0) + 1);
    if (!isGatewayCall) {
      this.#vault++;
      return;
    }
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

  countVaultBytesIn(bytes: number): void {
    this.#vaultBytesIn += bytes;
  }

  counts(): CallCounts {
    const byEndpoint = Object.fromEntries(this.#byEndpoint);
    const total = [...this.#byEndpoint.values()].reduce((sum, count) => sum + count, 0);
    return {
      total,
      gateway: total - this.#vault,
      vault: this.#vault,
      byEndpoint,
      byApp: Object.fromEntries(this.#byApp),
      peakPerSecond: this.#peakPerSecond,
      throttled: this.#throttled,
      vaultBytes: this.#vaultBytes,
      vaultBytesIn: this.#vaultBytesIn,
    };
  }

  reset(): void {
    this.#byEndpoint.clear();
    this.#byApp.clear();
    this.#recent = [];
    this.#peakPerSecond = 0;
    this.#throttled = 0;
    this.#vaultBytes = 0;
    this.#vaultBytesIn = 0;
    this.#vault = 0;
  }
}
