// What a drive did so far, and each of its members, for `status`.
import type { CallClass } from '../remote-drive.ts';

/** Faults of the gateway in a row that are no bad moment: whoever tried a call four times was not the only one. */
const FAULTS_IN_A_ROW = 8;

export class Counters {
  readonly #whole: Counters | undefined;
  total = 0;
  throttled = 0;
  bytesIn = 0;
  bytesOut = 0;
  #isReached = true;
  #faults = 0;
  lastError: string | undefined;
  readonly byEndpoint: Record<string, number> = {};
  readonly byClass: Record<CallClass, number> = { interactive: 0, commit: 0, prefetch: 0, background: 0 };

  /** What is counted here counts in `whole` too. */
  constructor(whole?: Counters) {
    this.#whole = whole;
  }

  /** A gateway call is sent. `endpoint` is the call's name in the guide: a closed set. */
  call(endpoint: string, callClass: CallClass): void {
    this.total += 1;
    this.byEndpoint[endpoint] = (this.byEndpoint[endpoint] ?? 0) + 1;
    this.byClass[callClass] += 1;
    this.#whole?.call(endpoint, callClass);
  }

  /** A vault request is sent; vault traffic is not gateway traffic and counts by name only. */
  transfer(endpoint: string): void {
    this.byEndpoint[endpoint] = (this.byEndpoint[endpoint] ?? 0) + 1;
    this.#whole?.transfer(endpoint);
  }

  /** The gateway refused a call because too many were made. */
  overspent(): void {
    this.throttled += 1;
    this.#whole?.overspent();
  }

  /** Content came. */
  received(bytes: number): void {
    this.bytesIn += bytes;
    this.#whole?.received(bytes);
  }

  /** Content went. */
  sent(bytes: number): void {
    this.bytesOut += bytes;
    this.#whole?.sent(bytes);
  }

  /** The service can be reached, and does what it is asked. */
  get online(): boolean {
    return this.#isReached && !this.isFailing;
  }

  /** The gateway answers, and for some time with nothing but faults of its own. */
  get isFailing(): boolean {
    return this.#faults >= FAULTS_IN_A_ROW;
  }

  /** Some reply came: the service can be reached. */
  answered(): void {
    this.#isReached = true;
  }

  /** The gateway did a call. */
  served(): void {
    this.#faults = 0;
    this.#whole?.served();
  }

  /** The gateway failed: not the call's fault. */
  faulted(): void {
    this.#faults += 1;
    this.#whole?.faulted();
  }

  /** No reply came, or it broke off. */
  unreachable(error: Error): void {
    this.#isReached = false;
    this.lastError = error.message;
  }

  /** The service answered with an error. */
  refused(error: Error): void {
    this.lastError = error.message;
    this.#whole?.refused(error);
  }
}
