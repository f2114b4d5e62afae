// A small tree that programs here and others at the service change at the same time, with the pusher at work and faults in between.
// Promises to tell, when all has come to rest, whatever was lost, came back, was doubled, or is not the same on both sides.
import { isPending } from '../../../src/cache/journal.ts';
import { ROOT_INODE, type TreeDirectory, type TreeFile, type TreeNode } from '../../../src/cache/tree.ts';
import { FsError } from '../../../src/fs-ops/operations.ts';
import type { FolderId } from '../../../src/remote-drive.ts';
import { enterVirtualTime, leaveVirtualTime, pass, passing } from '../../crash/support/virtual-time.ts';
import { nobody } from '../../fs-ops/support/test-file-system.ts';
import { OtherBytes, type Doing, type Opening } from './held-open.ts';
import { Ledger, type Side } from './ledger.ts';
import { Others } from './others.ts';
import { SharedDrive, type Dialect } from './shared-drive.ts';
import { SharedMachine } from './shared-machine.ts';
import { pick, spelledOtherwise, type HeldStep, type HereStep, type Step } from './shared-steps.ts';

/** Time after which no listing is taken for one that lags any more. */
const CALM_MS = 70_000;
/** What is pending comes to be stored within this. */
const REST_LIMIT_MS = 3_600_000;
/** How long others' versions may stay unseen by who stores the same file: a look may be a minute old where the file is new here. */
const WINDOW_MS = 63_000;
/** Nobody waits longer for a flush. */
const FLUSH_LIMIT_MS = 10_000;
/** Programs that walk over everything now and then, for ten minutes: less than events alone are believed. */
const WALKS = 12;
const WALK_PAUSE_MS = 50_000;
/** Rounds of looking at everything and storing what came of it. */
const ROUNDS_MAX = 4;
/** A quarter of an hour in which nobody does anything. */
const QUIET_MS = 900_000;
/** Calls in it: guards that are over have a few folders looked at. */
const QUIET_CALLS_MAX = 10;

/** What is wrong in the end. */
export class Wrong extends Error {}

export class SharedTree {
  readonly trace: string[] = [];
  readonly #drive: SharedDrive;
  readonly #others: Others;
  readonly #ledger = new Ledger();
  readonly #textOf = new Map<number, string>();
  #machine!: SharedMachine;
  #texts = 0;
  /** Files that got a content which nobody wrote. */
  readonly #unwritten: string[] = [];
  /** A folder that is there was said to be gone: what was removed in it may come back, or go with what nobody saw there. */
  #deceived = false;

  private constructor(drive: SharedDrive) {
    this.#drive = drive;
    this.#others = new Others({
      drive,
      ledger: this.#ledger,
      newText: (by) => this.#newText(by),
      onMoved: (folder) => this.#movedThere(folder),
      log: (line) => this.#log(line),
    });
  }

  static async start(dialect: Dialect): Promise<SharedTree> {
    enterVirtualTime({ monotonic: true });
    const tree = new SharedTree(new SharedDrive(dialect));
    tree.#fill();
    await tree.#startMachine();
    await pass(CALM_MS);
    await passing(tree.#everything(''));
    return tree;
  }

  async stop(): Promise<void> {
    try {
      await passing(this.#machine.stop());
    } finally {
      leaveVirtualTime();
    }
  }

  async take(step: Step): Promise<void> {
    // No two things happen at one moment of the clocks: what was looked at before is not taken for what was looked at since.
    await pass(1);
    if ('here' in step) return this.#doHere(step);
    if ('open' in step || 'held' in step) return this.#doHeld(step);
    if ('there' in step) {
      this.#others.take(step);
      return;
    }
    if ('pass' in step) {
      this.#log(`${step.pass} ms pass`);
      return pass(step.pass);
    }
    if ('pusher' in step) return this.#doPusher(step.pusher);
    if ('restart' in step) return this.#restart(step.restart);
    if ('list' in step) {
      const folder = pick(this.#directories(), step.list);
      if (folder === undefined) return;
      this.#log(`list ${this.#made.tree.path(folder)} anew`);
      await passing(
        this.#made.listings.refresh(folder, nobody.signal).catch((error: unknown) => this.#log(`  ${told(error)}`)),
      );
      return;
    }
    if ('fail' in step) {
      this.#log(`the next ${step.fail} fails: ${step.how}`);
      if (step.how === 'not-found') this.#deceived = true;
      this.#drive.fail(step.fail, step.how);
    } else {
      this.#log(`the reply to the next ${step.lose} is lost`);
      this.#drive.loseReply(step.lose);
    }
  }

  get #made(): SharedMachine['made'] {
    return this.#machine.made;
  }

  async #startMachine(...state: [] | [Awaited<ReturnType<SharedMachine['kill']>>]): Promise<void> {
    this.#machine = await passing(
      SharedMachine.start(
        this.#drive,
        {
          onGone: (node) => this.#ledger.gaveUp(this.#text(node), 'here'),
          onMoved: (node) => this.#touchedHere(node),
          onContent: (file, staged) => {
            const text = this.#machine.held.committed(file, staged);
            if (text === undefined) {
              this.#unwritten.push(file.name);
              return;
            }
            this.#textOf.set(staged.id, text);
            this.#ledger.gaveUp(this.#text(file), 'here');
            this.#ledger.made(text, 'here');
          },
        },
        ...state,
      ),
    );
  }

  async #restart(how: 'killed' | 'ended'): Promise<void> {
    this.#log(`the process is ${how}, and another one begins`);
    if (how === 'ended') for (const held of this.#machine.held.all) await this.#doesHeld(held, 'close');
    await this.#startMachine(await (how === 'killed' ? this.#machine.kill() : this.#machine.end()));
  }

  async #doPusher(what: 'pause' | 'resume' | 'flush'): Promise<void> {
    this.#log(`${what} the pusher`);
    const { pusher } = this.#machine;
    if (what === 'resume') pusher.resume();
    else if (what === 'pause') await passing(pusher.pause());
    else await passing(pusher.flush(AbortSignal.any([nobody.signal, impatience(FLUSH_LIMIT_MS)])));
  }

  /** All comes to rest, and is as it is to be. Rejects with {@link Wrong}. */
  async settle(): Promise<void> {
    this.#log('--- the end');
    this.#drive.getWell();
    for (const held of this.#machine.held.all) await this.#doesHeld(held, 'close');
    this.#machine.pusher.resume();
    await pass(CALM_MS);
    await this.#look();
    for (let round = 1; ; round += 1) {
      await this.#flush();
      await pass(CALM_MS);
      await this.#look();
      if (this.#pending().length === 0) break;
      this.#log(`round ${round}: a listing made something pending: ${this.#pending().join('; ')}`);
      if (round === ROUNDS_MAX) throw new Wrong('it does not come to rest');
    }
    const calls = this.#drive.calls.length;
    await pass(QUIET_MS, 15_000);
    const more = this.#drive.calls.slice(calls).filter((call) => call !== 'syncpoints');
    if (more.length > QUIET_CALLS_MAX)
      throw new Wrong(`${more.length} calls when all was stored: ${more.slice(0, 20).join('; ')}`);
    await this.#compare();
    this.#account();
  }

  async #flush(): Promise<void> {
    const endMs = Date.now() + REST_LIMIT_MS;
    await passing(this.#machine.pusher.flush(nobody.signal), () => {
      if (Date.now() > endMs)
        throw new Wrong(
          `flush does not end: ${this.#pending().join('; ')}\n  last calls: ${this.#drive.calls.slice(-12).join('; ')}`,
        );
    });
    // Where events are told, what others did may be seen at any time.
    const left = this.#drive.tellsEvents ? [] : this.#pending();
    if (left.length > 0) throw new Wrong(`flush left ${left.join('; ')}`);
  }

  #pending(): string[] {
    const { journal, tree } = this.#made;
    return [...journal.records()].filter(isPending).map((record) => {
      const node = tree.node(record.inode);
      const path = node === undefined ? `(gone) ${record.gone?.path ?? ''}` : tree.path(node);
      const trouble = this.#machine.pusher.progress().find((one) => one.record.inode === record.inode)
        ?.trouble?.message;
      return `${path} #${record.inode}${record.failed === undefined ? '' : ` refused: ${record.failed.message}`}${trouble === undefined ? '' : ` (${trouble})`} ${JSON.stringify(record)}`;
    });
  }

  /** Both sides have the same names, kinds and bytes. */
  async #compare(): Promise<void> {
    const theirs = this.#drive
      .held()
      .map(({ path, entry }) =>
        entry.kind === 'folder' ? `${path}/` : `${path}: ${this.#drive.text(entry.versionId)}`,
      );
    const ours = (await passing(this.#everything(''))).filter((line) => line.replace(/\/$/, '').includes('/'));
    // What is spelled otherwise here keeps its spelling here.
    const [a, b] = [theirs, ours].map((lines) =>
      lines
        .map((line) => line.normalize('NFC'))
        .sort()
        .join('\n  '),
    );
    if (a !== b) throw new Wrong(`the service has\n  ${a}\nand programs see\n  ${b}`);
    this.#log(`the end:\n  ${a}`);
  }

  async #everything(path: string): Promise<string[]> {
    const found: string[] = [];
    for (const name of await this.#machine.program.readdir(path)) {
      const at = path === '' ? name : `${path}/${name}`;
      if ((await this.#machine.program.stat(at)).type === 'directory')
        found.push(`${at}/`, ...(await this.#everything(at)));
      else found.push(`${at}: ${await this.#machine.program.readFile(at)}`);
    }
    return found;
  }

  /** What is wanted is there, what is not wanted is not, and nothing is there twice. */
  #account(): void {
    const [unwritten] = this.#unwritten;
    if (unwritten !== undefined) throw new Wrong(`nobody wrote what became the content of ${unwritten}`);
    const counts = new Map<string, number>();
    for (const { entry } of this.#drive.held()) {
      if (entry.kind === 'folder') continue;
      const text = this.#drive.text(entry.versionId);
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    for (const text of this.#ledger.wanted()) {
      if (counts.has(text) || this.#isInWindow(text)) continue;
      throw new Wrong(`"${text}" is lost`);
    }
    for (const text of this.#ledger.simple()) {
      if ((counts.get(text) ?? 0) > 1) throw new Wrong(`"${text}" is there ${counts.get(text)} times`);
    }
    if (this.#deceived) return;
    for (const text of this.#ledger.unwanted()) if (counts.has(text)) throw new Wrong(`"${text}" is back`);
  }

  /**
   * True for what others stored just before ours was, or before its folder was removed, and nobody saw: the service keeps it as an earlier
   * version, or in its trash.
   */
  #isInWindow(text: string): boolean {
    return [...this.#drive.versionsStored.values()].some((version) => {
      const { by, listedAtMs, storedAtMs, overwrittenAtMs, wentWithFolder } = version;
      if (version.text !== text) return false;
      if (this.#deceived && wentWithFolder !== undefined) return true;
      // What came with a listing at the very moment in which it was overwritten was of no use any more.
      if (by !== 'there' || (listedAtMs ?? Infinity) < (overwrittenAtMs ?? Infinity)) return false;
      const isOverwritten = overwrittenAtMs !== undefined && overwrittenAtMs - storedAtMs <= WINDOW_MS;
      return isOverwritten || wentWithFolder === 'unseen';
    });
  }

  /** All that the service has comes to be seen: by itself where it tells of events, and nobody asks for more. */
  async #look(): Promise<void> {
    if (!this.#drive.tellsEvents) return this.#lookAtAll();
    for (let walk = 0; walk < WALKS; walk += 1) {
      await passing(this.#walk(''));
      await pass(WALK_PAUSE_MS);
    }
  }

  /** As find(1) does. */
  async #walk(path: string): Promise<void> {
    const { program } = this.#machine;
    try {
      for (const name of await program.readdir(path)) {
        const at = path === '' ? name : `${path}/${name}`;
        if ((await program.stat(at)).type === 'directory') await this.#walk(at);
      }
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
      this.#log(`  find ${path}: ${told(error)}`);
    }
  }

  async #lookAtAll(): Promise<void> {
    const look = async (inode: number): Promise<void> => {
      const node = this.#made.tree.node(inode);
      if (node?.kind !== 'directory') return;
      if (inode === ROOT_INODE || node.remote !== undefined) {
        // One that is gone makes the one above it due.
        await this.#made.listings.refresh(node, nobody.signal).catch((error: unknown) => this.#log(`  ${told(error)}`));
      }
      for (const child of [...this.#made.tree.children(inode)]) if (child.kind === 'directory') await look(child.inode);
    };
    await passing(look(ROOT_INODE));
  }

  #fill(): void {
    const drive = this.#drive;
    const p = drive.addSyncpoint('P').rootFolderId;
    const q = drive.addSyncpoint('Q').rootFolderId;
    const file = (folder: FolderId, name: string): void => {
      const text = this.#newText('first');
      this.#ledger.found(text);
      drive.addFile(folder, name, text);
    };
    file(p, 'a');
    const b = drive.addFolder(p, 'b');
    file(b, 'a');
    file(b, 'c');
    const inner = drive.addFolder(b, 'd');
    file(inner, 'a');
    file(p, 'c');
    const d = drive.addFolder(p, 'd');
    file(d, 'b');
    file(q, 'a');
    file(drive.addFolder(q, 'b'), 'c');
    drive.changed('there');
  }

  #text(node: TreeNode): string {
    if (node.kind === 'directory') return '';
    const { journal } = this.#made;
    if (node.staged !== undefined) return this.#textOf.get(node.staged.id) ?? this.#ofVersion(node);
    const copied = journal.get(node.inode)?.copyOf;
    return node.versionId === undefined && copied !== undefined
      ? this.#drive.text(copied.versionId)
      : this.#ofVersion(node);
  }

  #ofVersion({ versionId }: TreeFile): string {
    return versionId === undefined ? '' : this.#drive.text(versionId);
  }

  #touchedHere(node: TreeNode): void {
    this.#touched(node, 'here');
  }

  /** What programs put into a folder may be on its way to it while others move that. */
  #movedThere(folder: FolderId): void {
    const moved = this.#directories().find(({ remote }) => remote?.folderId === folder);
    if (moved !== undefined) this.#touched(moved, 'there');
  }

  #touched(node: TreeNode, by: Side): void {
    this.#ledger.touched(this.#text(node), by);
    if (node.kind === 'directory') for (const child of this.#made.tree.children(node.inode)) this.#touched(child, by);
  }

  #nodes(): TreeNode[] {
    const { tree } = this.#made;
    const found: TreeNode[] = [];
    const visit = (inode: number): void => {
      for (const child of tree.children(inode)) {
        found.push(child);
        if (child.kind === 'directory') visit(child.inode);
      }
    };
    visit(ROOT_INODE);
    return found.sort((one, other) => (tree.path(one) < tree.path(other) ? -1 : 1));
  }

  #directories(): TreeDirectory[] {
    return this.#nodes().filter((node) => node.kind === 'directory');
  }

  async #doHere(step: HereStep): Promise<void> {
    const { tree } = this.#made;
    const inside = this.#nodes().filter((node) => node.kind === 'file' || node.syncpoint === undefined);
    const chosen = (nodes: readonly TreeNode[], index: number): string | undefined => {
      const node = pick(nodes, index);
      return node === undefined ? undefined : tree.path(node).slice(1);
    };
    const files = inside.filter(({ kind }) => kind === 'file');
    const folders = inside.filter(({ kind }) => kind === 'directory');
    switch (step.here) {
      case 'create':
      case 'mkdir': {
        const into = chosen(this.#directories(), step.into) ?? 'P';
        const path = `${into}/${step.name}`;
        if (step.here === 'mkdir') return this.#try(`mkdir ${path}`, () => this.#machine.program.mkdir(path));
        return this.#write(path, false);
      }
      case 'write':
      case 'append': {
        const path = chosen(files, step.pick);
        return path === undefined ? undefined : this.#write(path, step.here === 'append');
      }
      case 'unlink': {
        const path = chosen(files, step.pick);
        return path === undefined ? undefined : this.#try(`unlink ${path}`, () => this.#machine.program.unlink(path));
      }
      case 'removeAll': {
        const path = chosen(folders, step.pick);
        return path === undefined ? undefined : this.#try(`rm -r ${path}`, () => this.#removeTree(path));
      }
      case 'read': {
        const path = chosen(files, step.pick);
        return path === undefined ? undefined : this.#try(`read ${path}`, () => this.#machine.program.readFile(path));
      }
      case 'readdir': {
        const path = chosen(this.#directories(), step.pick);
        return path === undefined ? undefined : this.#try(`readdir ${path}`, () => this.#machine.program.readdir(path));
      }
      case 'utimes': {
        const path = chosen(files, step.pick);
        const modified = { seconds: 1_600_000_000, nanoseconds: 0 };
        return path === undefined
          ? undefined
          : this.#try(`utimes ${path}`, () => this.#machine.program.setattr(path, { modified }));
      }
      case 'rename': {
        const from = chosen(inside, step.pick);
        const to = `${chosen(this.#directories(), step.into) ?? 'P'}/${step.name}`;
        return from === undefined ? undefined : this.#rename(from, to);
      }
      case 'recase':
      case 'respell': {
        const node = pick(inside, step.pick);
        const from = chosen(inside, step.pick);
        if (node === undefined || from === undefined) return;
        const to = `${from.slice(0, -node.name.length)}${spelledOtherwise(node.name, step.here)}`;
        return from === to ? undefined : this.#rename(from, to);
      }
      case 'replace':
      case 'exchange': {
        const node = pick(inside, step.pick);
        const alike = inside.filter(({ kind, inode }) => kind === node?.kind && inode !== node.inode);
        const [from, to] = [chosen(inside, step.pick), chosen(alike, step.other)];
        if (from === undefined || to === undefined) return;
        return this.#rename(from, to, step.here === 'exchange');
      }
    }
  }

  async #removeTree(path: string): Promise<void> {
    for (const name of await this.#machine.program.readdir(path)) {
      const at = `${path}/${name}`;
      if ((await this.#machine.program.stat(at)).type === 'directory') await this.#removeTree(at);
      else await this.#machine.program.unlink(at);
    }
    await this.#machine.program.rmdir(path);
  }

  #rename(from: string, to: string, exchange = false): Promise<void> {
    return this.#try(`${exchange ? 'exchange' : 'rename'} ${from} ${to}`, () =>
      this.#machine.program.rename(from, to, { exchange }),
    );
  }

  #write(path: string, appends: boolean): Promise<void> {
    const token = this.#newText('here');
    return this.#try(`${appends ? 'append to' : 'write'} ${path}: ${token}`, async () => {
      const { held } = this.#machine;
      const file = await held.open(path, 'new');
      await held.does(file, appends ? 'append' : 'rewrite', token).finally(() => held.close(file));
    });
  }

  async #doHeld(step: HeldStep): Promise<void> {
    if ('held' in step) {
      const held = pick(this.#machine.held.all, step.held);
      if (held !== undefined) await this.#doesHeld(held, step.does);
      return;
    }
    const { tree } = this.#made;
    const files = this.#nodes().filter(({ kind }) => kind === 'file');
    const node = step.open === 'new' ? pick(this.#directories(), step.into) : pick(files, step.pick);
    if (node === undefined) return;
    await this.#opens(`${tree.path(node).slice(1)}${step.open === 'new' ? `/${step.name}` : ''}`, step.open);
  }

  #opens(path: string, how: Opening): Promise<void> {
    return this.#try(`open ${path} ${how}`, () => this.#machine.held.open(path, how));
  }

  #doesHeld(held: SharedMachine['held']['all'][number], what: Doing): Promise<void> {
    if (!held.writes && !['read', 'close'].includes(what)) return this.#doesHeld(held, 'read');
    const token = ['append', 'cut', 'start'].includes(what) ? this.#newText('here') : '';
    return this.#try(`${what} ${held.path}, which is open as ${held.descriptor} ${token}`, () =>
      this.#machine.held.does(held, what, token),
    );
  }

  async #try(what: string, work: () => Promise<unknown>): Promise<void> {
    this.#log(`here: ${what}`);
    try {
      await passing(work());
    } catch (error) {
      if (error instanceof OtherBytes) throw new Wrong(error.message);
      if (!(error instanceof FsError)) throw error;
      this.#log(`  ${told(error)}`);
    }
  }

  #newText(by: string): string {
    this.#texts += 1;
    // No two of one length, nor what is put together of several: a version is told by its length where nothing else tells it.
    return `${by}${this.#texts}${'.'.repeat(this.#texts ** 2)};`;
  }

  #log(line: string): void {
    this.trace.push(line);
  }
}

/** Aborts after that long. */
function impatience(limitMs: number): AbortSignal {
  const patience = new AbortController();
  setTimeout(() => patience.abort(new Error('it took too long')), limitMs);
  return patience.signal;
}

function told(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
