// What a drive did so far, for `status`.
import type { CallClass } from '../remote-drive.ts';

export class Counters {
  total = 0;
  throttled = 0;
  bytesIn = 0;
  bytesOut = 0;
  online = true;
  lastError: string | undefined;
  readonly byEndpoint: Record<string, number> = {};
  readonly byClass: Record<CallClass, number> = { interactive: 0, commit: 0, prefetch: 0, background: 0 };

  /** A gateway call is sent. `endpoint` is the call's name in the guide: a closed set. */
  call(endpoint: string, callClass: CallClass): void {
    this.total += 1;
    this.byEndpoint[endpoint] = (this.byEndpoint[endpoint] ?? 0) + 1;
    this.byClass[callClass] += 1;
  }

  /** A vault request is sent; vault traffic is not gateway traffic and counts by name only. */
  transfer(endpoint: string): void {
    this.byEndpoint[endpoint] = (this.byEndpoint[endpoint] ?? 0) + 1;
  }

  /** Some reply came: the service can be reached. */
  answered(): void {
    this.online = true;
  }

  /** No reply came, or it broke off. */
  unreachable(error: Error): void {
    this.online = false;
    this.lastError = error.message;
  }

  /** The service answered with an error. */
  refused(error: Error): void {
    this.lastError = error.message;
  }
}
