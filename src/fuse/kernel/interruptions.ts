// Which signals end what a program waits for. On a disk no call fails for a signal, and few programs expect it of one: a timer, a child
// that ended or Ctrl-Z must not cut a mkdir short. The kernel tells of any signal alike, and of a request's first one only, so the
// thread's own account in /proc is asked, again and again until the request is answered.
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Request } from './request.ts';

const { signals } = constants;

/** Sent to end a program, or what it does now. Who catches one wants the call to return; whatever else is caught can wait for it. */
const ENDING = setOf(signals.SIGHUP, signals.SIGINT, signals.SIGQUIT, signals.SIGTERM);
/** Not caught, these stop a process for a while, or do nothing at all; any other one ends it. */
const HARMLESS = setOf(
  ...[signals.SIGSTOP, signals.SIGTSTP, signals.SIGTTIN, signals.SIGTTOU, signals.SIGCONT],
  ...[signals.SIGCHLD, signals.SIGURG, signals.SIGWINCH],
);
/** Ctrl-C after another signal takes effect within this; a look costs some 20 µs. */
const LOOK_INTERVAL_MS = 200;

/** The interrupted requests of a mount that go on for now. */
export class Interruptions {
  readonly #end: (request: Request) => void;
  readonly #isToEnd: (thread: number) => boolean;
  readonly #goingOn = new Set<Request>();
  #looks: NodeJS.Timeout | undefined;

  /** `end` hears of each request that is to end; `isToEnd` tells whether a thread got a signal that says so. */
  constructor(end: (request: Request) => void, isToEnd: (thread: number) => boolean = hasEndingSignal) {
    this.#end = end;
    this.#isToEnd = isToEnd;
  }

  /** The kernel tells that a signal came for who waits for this. */
  heard(request: Request): void {
    if (this.#isToEnd(request.pid)) {
      this.#end(request);
      return;
    }
    this.#goingOn.add(request);
    this.#looks ??= setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
  }

  /** The request has its answer. */
  answered(request: Request): void {
    if (!this.#goingOn.delete(request) || this.#goingOn.size > 0) return;
    clearInterval(this.#looks);
    this.#looks = undefined;
  }

  #look(): void {
    for (const request of this.#goingOn) {
      if (!this.#isToEnd(request.pid)) continue;
      this.answered(request);
      this.#end(request);
    }
  }
}

/** Whether a thread waits with a signal that is to end that. One of which nothing is seen from here is taken to. */
function hasEndingSignal(thread: number): boolean {
  let status: string;
  try {
    status = readFileSync(`/proc/${thread}/status`, 'latin1');
  } catch {
    return true;
  }
  return tellsOfEnding(status);
}

/** The same, from the text of /proc/THREAD/status. The kernel adds a SIGKILL for each thread where a signal ends the process. */
export function tellsOfEnding(status: string): boolean {
  const set = (name: string): bigint | undefined => {
    const digits = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
    return digits === undefined ? undefined : BigInt(`0x${digits}`);
  };
  const [own, shared, blocked, caught] = [set('SigPnd'), set('ShdPnd'), set('SigBlk'), set('SigCgt')];
  if (own === undefined || shared === undefined || blocked === undefined || caught === undefined) return true;
  const pending = (own | shared) & ~blocked;
  return (pending & (ENDING | ~(caught | HARMLESS))) !== 0n;
}

function setOf(...numbers: number[]): bigint {
  return numbers.reduce((set, number) => set | (1n << BigInt(number - 1)), 0n);
}
