// The call budget of one app key: who may call now, who waits, and for how long. Keeps calls evenly apart as they leave, `perSecond` of
// them a second, a little further where some were refused for being too close, and an hourly allowance of which the last part is for
// interactive calls. A refusal (429) holds everybody back. Knows no HTTP.
//
// Interactive calls queue apart from the rest: the head of a queue may be waiting for an allowance that another class does not
// need. The rest go in order of their class, and only while no interactive call waits.
import { setMaxListeners } from 'node:events';
import PQueue from 'p-queue';
import { abortReason, delay, waitFor } from '../base/abort.ts';
import { Deadline } from '../base/deadline.ts';
import { type Deferred, deferred } from '../base/deferred.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallClass } from '../remote-drive.ts';
import { BudgetFile } from './budget-file.ts';
import type { BudgetLimits } from './options.ts';

export interface BudgetCaller {
  readonly callClass: CallClass;
  readonly signal?: AbortSignal | undefined;
}

/** What a refusal said. */
export interface Refusal {
  readonly retryAfterMs: number | undefined;
  /** The gateway smooths calls: two came too close together. */
  readonly spikeArrest: boolean;
}

export interface BudgetState {
  /** 0: no limit. */
  readonly perSecond: number;
  /** 0: no limit. */
  readonly perHour: number;
  readonly leftThisHour: number;
  readonly waiting: number;
}

/** Callers beyond this wait for hours at the sustained rate; refusing them keeps memory bounded. */
const waitingMax = 20_000;
/**
 * An evenly paced second. The gateway may count calls in a second or want each 66.7 ms after the one before, and never says which: 70 ms
 * apart suits both, with some room for the network's jitter.
 */
const evenMs = 1_050;
/**
 * A refusal of two calls that came too close is mostly jitter: each puts calls 2 ms further apart, up to
 * 80 ms, and 200 accepted calls put them 2 ms closer again.
 */
const widerMs = 30;
const widestMs = 1_200;
const calmCalls = 200;
/** First hold after a spike arrest without a Retry-After: only two calls came too close, and the next interval is a new one. */
const spikeHoldMs = 100;
/** First hold after a Retry-After of less: 0 is no pause at all. */
const shortHoldMs = 1_000;
/**
 * How long a call that was let go may take to leave before others go ahead of it: a connection over TLS is made in two or three round
 * trips, and a call that leaves with the next one comes too close to it.
 */
const departureMaxMs = 500;
/** No backoff beyond this: an allowance is whole again within the hour, and part of it within minutes. */
const backoffMaxMs = 300_000;

const priorities: Readonly<Record<CallClass, number>> = { interactive: 3, commit: 2, prefetch: 1, background: 0 };

export class CallBudget {
  readonly #limits: BudgetLimits;
  readonly #file: BudgetFile;
  readonly #interactive = new PQueue({ concurrency: 1 });
  readonly #others = new PQueue({ concurrency: 1 });
  readonly #stopping = new AbortController();
  /** Callers that were sent here and do not wait yet. */
  #expected = 0;
  /** When the last call was let go, or left. */
  #lastMs = -Infinity;
  /** Resolves when the call that was let go last leaves. */
  #departing: Deferred<void> | undefined;
  /** An evenly paced second, as it is now; undefined until the file was read. */
  #secondMs: number | undefined;
  #calm = 0;
  #heldUntilMs = 0;
  #refusalsInARow = 0;

  constructor(limits: BudgetLimits, stateFile: string | undefined) {
    this.#limits = limits;
    // Every waiter listens for the end.
    setMaxListeners(0, this.#stopping.signal);
    this.#file = new BudgetFile(stateFile);
  }

  /**
   * A caller is about to ask, and is to be counted by {@link expectedWaitMs} until the returned function is called: whoever sends many
   * callers to several budgets at once is to see those sent before.
   */
  expect(): () => void {
    this.#expected += 1;
    return () => void (this.#expected -= 1);
  }

  /**
   * Resolves when the caller may make one call, which then counts; {@link left} is to be told when it leaves. Rejects with RemoteError
   * `throttled` when that would take longer than its class waits, or with the signal's reason as soon as it aborts.
   */
  async acquire(caller: BudgetCaller): Promise<void> {
    if (caller.signal?.aborted === true) throw abortReason(caller.signal);
    if (this.#stopping.signal.aborted) throw stopped();
    const arrived = this.expect();
    try {
      await this.#file.load();
    } finally {
      arrived();
    }
    const patienceMs = this.#limits.waitMs[caller.callClass];
    this.#refuseIfHopeless(caller.callClass, patienceMs);
    if (this.state().waiting >= waitingMax) {
      throw new RemoteError('throttled', `${waitingMax} calls are waiting for the call budget already`);
    }
    const parents = [this.#stopping.signal, ...(caller.signal === undefined ? [] : [caller.signal])];
    const patience = new Deadline(patienceMs, () => this.#spent(this.#longWaitMs(caller.callClass)), parents);
    const queue = caller.callClass === 'interactive' ? this.#interactive : this.#others;
    try {
      await queue.add(() => this.#turn(caller.callClass, patienceMs, patience.signal), {
        priority: priorities[caller.callClass],
        signal: patience.signal,
      });
    } finally {
      patience.release();
    }
  }

  /** A call that was let go leaves this machine now, perhaps over a connection that had to be made: the next one waits from here on. */
  left(): void {
    this.#lastMs = this.#file.now();
    this.#departed();
  }

  /** A call that was let go never left this machine: it does not count. */
  takeBack(): void {
    this.#file.uncount();
    this.#departed();
  }

  /** The gateway refused a call; everybody waits. */
  refused(refusal: Refusal): void {
    if (refusal.spikeArrest) {
      this.#file.rememberSmoothing();
      this.#secondMs = Math.min(widestMs, this.#paceMs() + widerMs);
      this.#calm = 0;
    }
    const now = this.#file.now();
    const asked = refusal.retryAfterMs;
    let wait = asked ?? 0;
    // Calls sent before the refusal came back are refused for the same reason: they count as one.
    if (now >= this.#heldUntilMs) {
      if (asked === undefined || asked < shortHoldMs) wait = Math.max(wait, this.#backoffMs(refusal));
      this.#refusalsInARow += 1;
    }
    this.#heldUntilMs = Math.max(this.#heldUntilMs, now + wait);
  }

  /** Doubles with each refusal in a row; begins low where the refusal shows that little is needed. */
  #backoffMs(refusal: Refusal): number {
    const { backoffMs } = this.#limits;
    const isShort = refusal.retryAfterMs !== undefined;
    const firstMs = refusal.spikeArrest ? spikeHoldMs : isShort ? shortHoldMs : backoffMs;
    return Math.min(Math.min(firstMs, backoffMs) * 2 ** this.#refusalsInARow, backoffMaxMs);
  }

  /** The gateway answered a call. */
  accepted(): void {
    if (this.#file.now() >= this.#heldUntilMs) this.#refusalsInARow = 0;
    this.#calm += 1;
    if (this.#calm < calmCalls) return;
    this.#calm = 0;
    this.#secondMs = Math.max(evenMs, this.#paceMs() - widerMs);
  }

  /** About how long a call of this class that asks now would wait for its turn; 0: none. */
  waitMs(callClass: CallClass): number {
    const behind = callClass === 'interactive' ? [this.#interactive] : [this.#interactive, this.#others];
    const ahead = behind.reduce((sum, queue) => sum + queue.size + queue.pending, 0);
    const queuedMs = ahead * this.apartMs;
    return Math.max(0, this.#longWaitMs(callClass), this.#paceWaitMs()) + queuedMs;
  }

  /** As {@link waitMs}, behind those that were sent here already and do not wait yet. */
  expectedWaitMs(callClass: CallClass): number {
    return this.waitMs(callClass) + this.#expected * this.apartMs;
  }

  state(): BudgetState {
    return {
      perSecond: this.#limits.perSecond,
      perHour: this.#limits.perHour,
      leftThisHour: Math.max(0, this.#limits.perHour - this.#file.usedThisHour()),
      waiting: this.#interactive.size + this.#interactive.pending + this.#others.size + this.#others.pending,
    };
  }

  /** Sends waiters away and writes the state file. */
  async stop(): Promise<void> {
    this.#stopping.abort(stopped());
    await this.#file.stop();
  }

  /** Runs at the head of a queue: waits for the next slot and takes it. */
  async #turn(callClass: CallClass, patienceMs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (callClass !== 'interactive' && this.#interactive.size + this.#interactive.pending > 0) {
        await waitFor(this.#interactive.onIdle(), signal);
        continue;
      }
      this.#refuseIfHopeless(callClass, patienceMs);
      const wait = Math.max(this.#longWaitMs(callClass), this.#paceWaitMs());
      if (wait > 0) await delay(wait, signal);
      else if (this.#departing === undefined) break;
      else await this.#departure(this.#departing, signal);
    }
    this.#lastMs = this.#file.now();
    this.#file.count();
    if (this.#limits.perSecond > 0) this.#departing = deferred();
  }

  /** Waits until the call before this one has left, or has taken too long for that. */
  async #departure(departing: Deferred<void>, signal: AbortSignal): Promise<void> {
    const restMs = this.#lastMs + departureMaxMs - this.#file.now();
    if (restMs > 0) await Promise.race([departing.promise, delay(restMs, signal)]);
    else if (this.#departing === departing) this.#departed();
  }

  #departed(): void {
    this.#departing?.resolve();
    this.#departing = undefined;
  }

  #refuseIfHopeless(callClass: CallClass, patienceMs: number): void {
    const wait = this.#longWaitMs(callClass);
    if (wait > patienceMs) throw this.#spent(wait);
  }

  /** Until the pace allows a call. */
  #paceWaitMs(): number {
    if (this.#limits.perSecond === 0) return 0;
    return this.#lastMs + this.apartMs - this.#file.now();
  }

  /** Where the gateway is known to smooth, a little wider from the start on. */
  #paceMs(): number {
    return (this.#secondMs ??= this.#file.smoothing ? evenMs + widerMs : evenMs);
  }

  /** How far calls are kept apart now, ms; 0: not at all. */
  get apartMs(): number {
    return this.#limits.perSecond === 0 ? 0 : this.#paceMs() / this.#limits.perSecond;
  }

  /** Until a refusal is over and the hourly allowance has room. */
  #longWaitMs(callClass: CallClass): number {
    const heldMs = this.#heldUntilMs - this.#file.now();
    if (this.#limits.perHour === 0) return heldMs;
    const allowance = this.#limits.perHour - (callClass === 'interactive' ? 0 : this.#limits.interactiveReserve);
    return Math.max(heldMs, this.#file.waitForRoomMs(Math.max(1, allowance)));
  }

  #spent(waitMs: number): RemoteError {
    const when =
      waitMs > 0 ? `the next call is possible in ${duration(waitMs)}` : 'too many calls wait before this one';
    return new RemoteError('throttled', `the call budget of this app key is spent: ${when}`);
  }
}

function stopped(): RemoteError {
  return new RemoteError('unavailable', 'the drive is being stopped');
}

function duration(ms: number): string {
  return ms < 90_000 ? `${Math.ceil(ms / 1000)} s` : `${Math.ceil(ms / 60_000)} min`;
}
