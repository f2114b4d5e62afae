// Runs a program on a machine, lets what it changed be stored, and cuts that off at one point: a call's reply is lost, or the machine is
// killed and another one goes on. Promises to tell whenever something that was to stay is nowhere at the service, and whatever the
// service, or the machine, has in the end that no program left there.
import type { FolderId } from '../../../src/remote-drive.ts';
import { ROOT_INODE } from '../../../src/cache/tree.ts';
import { changeReports } from '../../../src/sync/reports.ts';
import type { Program } from '../../fs-ops/support/program.ts';
import { hashOf, Service, type CutDriveOptions, type Holdings, type Moment } from './cut-drive.ts';
import { Machine } from './machine.ts';
import { pass, passing } from './virtual-time.ts';

export interface Scenario {
  readonly name: string;
  /** What the service has in the syncpoint `P` before, path to content; a path that ends in `/` is a folder. */
  readonly stored: Readonly<Record<string, string>>;
  /** What programs do, one after the other; each is carried out whole or not at all. */
  readonly steps: readonly ((program: Program, service: Service) => Promise<unknown>)[];
  /** What programs go on with as soon as something was cut, before anybody knows what became of that; at the end where nothing was. */
  readonly afterwards?: Scenario['steps'];
  /** Time between the last change and its being stored. */
  readonly restMs?: number;
  /** Contents that may be nowhere for a while, or for good: somebody else removed them. */
  readonly mayGo?: readonly string[];
  /** What the service has in the end, where it is not what the programs saw at their end. */
  readonly ends?: (holdings: Holdings) => readonly string[];
}

/** When what the programs do is stored: after all of it, or after each step. */
export type Pace = 'together' | 'apart';

/**
 * `lost`: the call fails. `outage`: and so do all that come before programs went on. `kill`: the machine ends at the point. `stop`: it is
 * stopped in order while the call hangs.
 */
export type Break = 'lost' | 'outage' | 'kill' | 'stop';

export interface Case {
  readonly scenario: Scenario;
  readonly service: CutDriveOptions;
  readonly pace: Pace;
  /** Undefined: nothing is cut. */
  readonly cut: { readonly point: number; readonly how: Break } | undefined;
}

export interface Result {
  /** How many points there were. */
  readonly points: number;
  /** Calls in order, for messages. */
  readonly calls: readonly string[];
  readonly problems: readonly string[];
}

/** What a program sees of a file or directory. */
interface Seen {
  readonly kind: 'file' | 'folder';
  readonly sha256: string | undefined;
  readonly modified: string | undefined;
}

/** Time after which nothing is under way any more: the lag window, and all looks at listings. */
const CALM_MS = 90_000;

/** More calls than any scenario needs. */
const POINTS_MAX = 300;

/** Carries a case out. */
export async function carryOut(one: Case): Promise<Result> {
  const run = new Run(one);
  try {
    await run.run();
  } catch (error) {
    run.problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await run.stop();
  return run;
}

class Run implements Result {
  readonly #case: Case;
  readonly #service: Service;
  readonly calls: string[] = [];
  readonly problems: string[] = [];
  points = 0;
  readonly #machines: Machine[] = [];
  #machine!: Machine;
  /** Points count while the pusher is waited for. */
  #counting = false;
  #breaking: (() => Promise<void>) | undefined;
  #outage = false;
  #wentOn = false;
  #wanted: ReadonlyMap<string, Seen> = new Map();

  constructor(one: Case) {
    this.#case = one;
    this.#service = new Service(one.service);
    this.#service.memory.chunkBytes = 64;
  }

  async run(): Promise<void> {
    const { scenario, pace } = this.#case;
    fill(this.#service, scenario.stored);
    await this.#start();
    await passing(everything(this.#machine.program, ''));
    if (pace === 'apart') this.#machine.writing.pusher.start();
    await this.#machine.writing.pusher.pause();
    for (const [index, step] of scenario.steps.entries()) {
      await passing(step(this.#machine.program, this.#service));
      if (pace === 'together' && index < scenario.steps.length - 1) continue;
      await this.#want();
      if (pace === 'together') this.#machine.writing.pusher.start();
      await this.#calm();
    }
    if (!this.#wentOn && scenario.afterwards !== undefined) {
      await this.#goOn();
      await this.#calm();
    }
    await this.#end(this.#wanted);
  }

  async #goOn(): Promise<void> {
    if (this.#wentOn || this.#case.scenario.afterwards === undefined) return;
    this.#wentOn = true;
    // What is wanted changes with each of them.
    this.#service.onChange = () => undefined;
    const counting = this.#counting;
    this.#counting = false;
    for (const step of this.#case.scenario.afterwards) {
      await passing(step(this.#machine.program, this.#service));
    }
    await this.#want();
    this.#counting = counting;
  }

  /** From here on what programs see now is what is wanted in the end. */
  async #want(): Promise<void> {
    this.#wanted = await passing(everything(this.#machine.program, ''));
    this.#watch(this.#wanted);
  }

  async stop(): Promise<void> {
    for (const machine of this.#machines) await passing(machine.stop());
  }

  async #start(disk?: string): Promise<void> {
    const machine = await passing(Machine.start(this.#service, disk));
    this.#machine = machine;
    this.#machines.push(machine);
    machine.drive.at = (call, moment) => {
      if (this.#counting && machine === this.#machine) return this.#point(call, moment);
      return undefined;
    };
  }

  #point(call: string, moment: Moment): 'lost' | 'hangs' | undefined {
    const point = this.points++;
    if (point === POINTS_MAX) this.#problem('it does not come to an end');
    if (point >= POINTS_MAX) return 'hangs';
    const { cut } = this.#case;
    this.calls.push(`${point} ${call} (${moment})${cut?.point === point ? ` --- ${cut.how}` : ''}`);
    if (this.#outage) return moment === 'before' ? 'lost' : undefined;
    if (cut?.point !== point) return undefined;
    if (cut.how === 'lost') return 'lost';
    if (cut.how === 'outage') {
      this.#outage = true;
      this.#breaking = async () => {
        this.#outage = false;
        await this.#goOn();
      };
      return 'lost';
    }
    const machine = this.#machine;
    const left = cut.how === 'kill' ? machine.kill() : undefined;
    this.#breaking = async () => {
      if (left === undefined) {
        await passing(machine.stop(true));
        this.#machines.splice(this.#machines.indexOf(machine), 1);
      }
      await this.#start(left ?? machine.disk);
      await this.#goOn();
      this.#machine.writing.pusher.start();
    };
    return 'hangs';
  }

  /** Until all is stored that can be. */
  async #calm(): Promise<void> {
    await pass(this.#case.scenario.restMs ?? 0);
    this.#counting = true;
    this.#machine.writing.pusher.resume();
    for (;;) {
      const enough = new AbortController();
      const flushed = this.#machine.writing.pusher.flush(enough.signal);
      await passing(flushed, () => {
        if (this.#breaking !== undefined) enough.abort();
      });
      const breaking = this.#breaking;
      this.#breaking = undefined;
      if (breaking === undefined) break;
      await breaking();
    }
    this.#counting = false;
    await this.#machine.writing.pusher.pause();
  }

  /** What is wanted in the end, and the service has, must never be nowhere. */
  #watch(wanted: ReadonlyMap<string, Seen>): void {
    const contents = (): Set<string | undefined> =>
      new Set([...this.#service.holdings().values()].map(({ sha256 }) => sha256));
    const before = contents();
    const mayGo = new Set((this.#case.scenario.mayGo ?? []).map(hashOf));
    const keeps = [...wanted].filter(
      ([, { sha256 }]) => sha256 !== undefined && before.has(sha256) && !mayGo.has(sha256),
    );
    this.#service.onChange = (call) => {
      const present = contents();
      for (const [path, { sha256 }] of keeps) {
        if (!present.has(sha256)) this.#problem(`after ${call}, what is wanted as ${path} is nowhere at the service`);
      }
    };
  }

  async #end(wanted: ReadonlyMap<string, Seen>): Promise<void> {
    const { scenario } = this.#case;
    const { journal, writing } = this.#machine;
    for (const { path, change, error } of changeReports(journal, writing.pusher)) {
      this.#problem(`${change} of ${path} is still pending: ${error}`);
    }
    const holdings = this.#service.holdings();
    if (scenario.ends !== undefined) {
      this.problems.push(...scenario.ends(holdings));
    } else {
      for (const { path, keptAs } of journal.tree.conflicts()) this.#problem(`${path} was kept as ${keptAs}`);
      this.#compare(wanted, seenOf(holdings), 'at the service');
    }
    await pass(CALM_MS);
    await passing(this.#lookAtAll());
    const found = await passing(everything(this.#machine.program, ''));
    this.#compare(scenario.ends === undefined ? wanted : seenOf(this.#service.holdings()), found, 'here in the end');
  }

  /** Lists every folder anew, so that nothing is seen that the service does not have. */
  async #lookAtAll(): Promise<void> {
    const { listings, journal } = this.#machine;
    const { tree } = journal;
    const look = async (inode: number): Promise<void> => {
      const node = tree.node(inode);
      if (node?.kind !== 'directory') return;
      await listings.refresh(node, new AbortController().signal);
      for (const child of [...tree.children(inode)]) if (child.kind === 'directory') await look(child.inode);
    };
    await look(ROOT_INODE);
  }

  #compare(wanted: ReadonlyMap<string, Seen>, found: ReadonlyMap<string, Seen>, where: string): void {
    for (const [path, seen] of wanted) {
      const there = found.get(path);
      if (there === undefined) this.#problem(`${path} is not ${where}`);
      else if (there.kind !== seen.kind || there.sha256 !== seen.sha256)
        this.#problem(`${path} is another one ${where}`);
      else if (there.modified !== seen.modified) {
        this.#problem(`${path} has another time ${where}: ${there.modified} instead of ${seen.modified}`);
      }
    }
    for (const path of found.keys()) if (!wanted.has(path)) this.#problem(`${path} is ${where} and was not left there`);
  }

  #problem(problem: string): void {
    if (!this.problems.includes(problem)) this.problems.push(problem);
  }
}

function fill(service: Service, stored: Scenario['stored']): void {
  const { memory } = service;
  const folders = new Map<string, FolderId>([
    ['P', memory.addSyncpoint('P').rootFolderId],
    ['Q', memory.addSyncpoint('Q').rootFolderId],
  ]);
  const folder = (path: string): FolderId => {
    const known = folders.get(path);
    if (known !== undefined) return known;
    const cut = path.lastIndexOf('/');
    const made = memory.addFolder(folder(path.slice(0, cut)), path.slice(cut + 1));
    folders.set(path, made);
    return made;
  };
  for (const [path, content] of Object.entries(stored)) {
    const cut = path.lastIndexOf('/');
    const above = folder(path.slice(0, cut));
    if (cut < path.length - 1) memory.addFile(above, path.slice(cut + 1), content);
  }
}

/** Everything below a directory, as a program sees it. */
async function everything(program: Program, path: string): Promise<Map<string, Seen>> {
  const found = new Map<string, Seen>();
  for (const name of await program.readdir(path)) {
    const at = path === '' ? name : `${path}/${name}`;
    const { type, modified } = await program.stat(at);
    if (type === 'directory') {
      if (path !== '') found.set(at, { kind: 'folder', sha256: undefined, modified: undefined });
      for (const [below, seen] of await everything(program, at)) found.set(below, seen);
    } else {
      found.set(at, { kind: 'file', sha256: hashOf(await program.readFile(at)), modified: told(modified) });
    }
  }
  return found;
}

function seenOf(holdings: Holdings): Map<string, Seen> {
  return new Map(
    [...holdings].map(([path, { kind, sha256, modified }]) => [
      path,
      { kind, sha256, modified: modified === undefined ? undefined : told(modified) },
    ]),
  );
}

/** As far as the service keeps it. */
function told({ seconds, nanoseconds }: { readonly seconds: number; readonly nanoseconds: number }): string {
  return `${seconds}.${String(Math.floor(nanoseconds / 100)).padStart(7, '0')}`;
}
