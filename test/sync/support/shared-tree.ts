// A small tree that programs here and others at the service change at the same time, with the pusher at work and faults in between.
// Promises to tell, when all has come to rest, whatever was lost, came back, was doubled, or is not the same on both sides.
import { LocalChanges } from '../../../src/cache/local-changes.ts';
import { isPending } from '../../../src/cache/journal.ts';
import { ROOT_INODE, type TreeDirectory, type TreeFile, type TreeNode } from '../../../src/cache/tree.ts';
import { FsError } from '../../../src/fs-ops/operations.ts';
import type { FolderId, RemoteErrorKind } from '../../../src/remote-drive.ts';
import type { Pusher } from '../../../src/sync/pusher.ts';
import { enterVirtualTime, leaveVirtualTime, pass, passing } from '../../crash/support/virtual-time.ts';
import { memoryDirectory } from '../../fakes/temporary-directory.ts';
import { O_CREAT, O_RDWR, Program } from '../../fs-ops/support/program.ts';
import { nobody, TestFileSystem } from '../../fs-ops/support/test-file-system.ts';
import { Ledger } from './ledger.ts';
import { pusherFor } from './pusher-for.ts';
import { SharedDrive, type CallKind, type Dialect, type Held } from './shared-drive.ts';

/** `pick` chooses among what is there, `into` among folders. */
export type Step =
  | { readonly here: 'create' | 'mkdir'; readonly into: number; readonly name: string }
  | {
      readonly here: 'write' | 'append' | 'unlink' | 'removeAll' | 'read' | 'utimes' | 'readdir';
      readonly pick: number;
    }
  | { readonly here: 'rename'; readonly pick: number; readonly into: number; readonly name: string }
  | { readonly there: 'add' | 'mkdir'; readonly into: number; readonly name: string }
  | { readonly there: 'write' | 'remove' | 'removeAll' | 'replace'; readonly pick: number }
  | { readonly there: 'rename'; readonly pick: number; readonly name: string }
  | { readonly there: 'move'; readonly pick: number; readonly into: number }
  | { readonly pass: number }
  | { readonly pusher: 'pause' | 'resume' }
  | { readonly list: number }
  | { readonly fail: CallKind; readonly how: RemoteErrorKind }
  | { readonly lose: CallKind };

/** Time after which no listing is taken for one that lags any more. */
const CALM_MS = 70_000;
/** What is pending comes to be stored within this. */
const REST_LIMIT_MS = 3_600_000;
/** How long others' versions may stay unseen by who stores the same file: a look may be a minute old where the file is new here. */
const WINDOW_MS = 63_000;
/** Rounds of looking at everything and storing what came of it. */
const ROUNDS_MAX = 4;
/** A quarter of an hour in which nobody does anything. */
const QUIET_MS = 900_000;
/** Calls in it: guards that are over have a few folders looked at. */
const QUIET_CALLS_MAX = 10;

/** What is wrong in the end. */
export class Wrong extends Error {}

/** Tells which content each removal and replacement by a program took away. */
class WatchedChanges extends LocalChanges {
  onGone: (node: TreeNode) => void = () => undefined;
  onMoved: (node: TreeNode) => void = () => undefined;
  onContent: (generation: number) => void = () => undefined;

  override remove(node: TreeNode): void {
    this.onGone(node);
    super.remove(node);
  }

  override rename(...args: Parameters<LocalChanges['rename']>): TreeNode {
    const [node, , replaced] = args;
    if (replaced !== undefined) this.onGone(replaced);
    this.onMoved(node);
    return super.rename(...args);
  }

  override commitContent(...args: Parameters<LocalChanges['commitContent']>): TreeFile {
    const [, staged] = args;
    if (staged !== undefined) this.onContent(staged.id);
    return super.commitContent(...args);
  }
}

export class SharedTree {
  readonly trace: string[] = [];
  readonly #drive: SharedDrive;
  readonly #made: TestFileSystem;
  readonly #pusher: Pusher;
  readonly #program: Program;
  readonly #ledger = new Ledger();
  readonly #textOf = new Map<number, string>();
  #writing = '';
  #texts = 0;
  /** A folder that is there was said to be gone: what was removed in it may come back, or go with what nobody saw there. */
  #deceived = false;

  private constructor(drive: SharedDrive, made: TestFileSystem, changes: WatchedChanges) {
    this.#drive = drive;
    this.#made = made;
    this.#pusher = pusherFor(made, drive);
    this.#program = new Program(made.fileSystem);
    changes.onGone = (node) => this.#ledger.gaveUp(this.#text(node), 'here');
    changes.onMoved = (node) => this.#touchedHere(node);
    changes.onContent = (generation) => this.#textOf.set(generation, this.#writing);
  }

  static async start(dialect: Dialect): Promise<SharedTree> {
    enterVirtualTime();
    const drive = new SharedDrive(dialect);
    const seen: WatchedChanges[] = [];
    const made = await TestFileSystem.start(drive, {
      state: memoryDirectory(),
      changes: (journal, nowMs) => {
        const changes = new WatchedChanges(journal, nowMs);
        seen.push(changes);
        return changes;
      },
    });
    const [changes] = seen;
    if (changes === undefined) throw new Error('nothing was made');
    const tree = new SharedTree(drive, made, changes);
    await tree.#fill();
    return tree;
  }

  async stop(): Promise<void> {
    leaveVirtualTime();
    await this.#pusher.stop();
    await this.#made.stop();
  }

  async take(step: Step): Promise<void> {
    await pass(0);
    if ('here' in step) return this.#doHere(step);
    if ('there' in step) {
      this.#doThere(step);
      return;
    }
    if ('pass' in step) {
      this.#log(`${step.pass} ms pass`);
      return pass(step.pass);
    }
    if ('pusher' in step) {
      this.#log(`${step.pusher} the pusher`);
      if (step.pusher === 'resume') this.#pusher.resume();
      else await passing(this.#pusher.pause());
      return;
    }
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

  /** All comes to rest, and is as it is to be. Rejects with {@link Wrong}. */
  async settle(): Promise<void> {
    this.#log('--- the end');
    this.#drive.getWell();
    this.#pusher.resume();
    await pass(CALM_MS);
    await this.#lookAtAll();
    for (let round = 1; ; round += 1) {
      await this.#flush();
      await pass(CALM_MS);
      await this.#lookAtAll();
      if (this.#pending().length === 0) break;
      this.#log(`round ${round}: a listing made something pending: ${this.#pending().join('; ')}`);
      if (round === ROUNDS_MAX) throw new Wrong('it does not come to rest');
    }
    const calls = this.#drive.calls.length;
    await pass(QUIET_MS, 15_000);
    const more = this.#drive.calls.slice(calls);
    if (more.length > QUIET_CALLS_MAX)
      throw new Wrong(`${more.length} calls when all was stored: ${more.slice(0, 20).join('; ')}`);
    await this.#compare();
    this.#account();
  }

  async #flush(): Promise<void> {
    const endMs = Date.now() + REST_LIMIT_MS;
    await passing(this.#pusher.flush(nobody.signal), () => {
      if (Date.now() > endMs)
        throw new Wrong(
          `flush does not end: ${this.#pending().join('; ')}\n  last calls: ${this.#drive.calls.slice(-12).join('; ')}`,
        );
    });
    const left = this.#pending();
    if (left.length > 0) throw new Wrong(`flush left ${left.join('; ')}`);
  }

  #pending(): string[] {
    const { journal, tree } = this.#made;
    return [...journal.records()].filter(isPending).map((record) => {
      const node = tree.node(record.inode);
      const path = node === undefined ? `(gone) ${record.gone?.path ?? ''}` : tree.path(node);
      const trouble = this.#pusher.progress().find((one) => one.record.inode === record.inode)?.trouble?.message;
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
    const [a, b] = [theirs.sort().join('\n  '), ours.sort().join('\n  ')];
    if (a !== b) throw new Wrong(`the service has\n  ${a}\nand programs see\n  ${b}`);
    this.#log(`the end:\n  ${a}`);
  }

  async #everything(path: string): Promise<string[]> {
    const found: string[] = [];
    for (const name of await this.#program.readdir(path)) {
      const at = path === '' ? name : `${path}/${name}`;
      if ((await this.#program.stat(at)).type === 'directory') found.push(`${at}/`, ...(await this.#everything(at)));
      else found.push(`${at}: ${await this.#program.readFile(at)}`);
    }
    return found;
  }

  /** What is wanted is there, what is not wanted is not, and nothing is there twice. */
  #account(): void {
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
      const { by, listed, storedAtMs, overwrittenAtMs, wentWithFolder } = version;
      if (version.text !== text) return false;
      if (this.#deceived && wentWithFolder !== undefined) return true;
      if (by !== 'there' || listed) return false;
      const isOverwritten = overwrittenAtMs !== undefined && overwrittenAtMs - storedAtMs <= WINDOW_MS;
      return isOverwritten || wentWithFolder === 'unseen';
    });
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

  async #fill(): Promise<void> {
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
    this.#pusher.start();
    await pass(CALM_MS);
    await passing(this.#everything(''));
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
    this.#ledger.touched(this.#text(node), 'here');
    if (node.kind === 'directory') for (const child of this.#made.tree.children(node.inode)) this.#touchedHere(child);
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

  async #doHere(step: Extract<Step, { here: unknown }>): Promise<void> {
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
        if (step.here === 'mkdir') return this.#try(`mkdir ${path}`, () => this.#program.mkdir(path));
        return this.#write(path, false);
      }
      case 'write':
      case 'append': {
        const path = chosen(files, step.pick);
        return path === undefined ? undefined : this.#write(path, step.here === 'append');
      }
      case 'unlink': {
        const path = chosen(files, step.pick);
        return path === undefined ? undefined : this.#try(`unlink ${path}`, () => this.#program.unlink(path));
      }
      case 'removeAll': {
        const path = chosen(folders, step.pick);
        return path === undefined ? undefined : this.#try(`rm -r ${path}`, () => this.#removeTree(path));
      }
      case 'read': {
        const path = chosen(files, step.pick);
        return path === undefined ? undefined : this.#try(`read ${path}`, () => this.#program.readFile(path));
      }
      case 'readdir': {
        const path = chosen(this.#directories(), step.pick);
        return path === undefined ? undefined : this.#try(`readdir ${path}`, () => this.#program.readdir(path));
      }
      case 'utimes': {
        const path = chosen(files, step.pick);
        const modified = { seconds: 1_600_000_000, nanoseconds: 0 };
        return path === undefined
          ? undefined
          : this.#try(`utimes ${path}`, () => this.#program.setattr(path, { modified }));
      }
      case 'rename': {
        const from = chosen(inside, step.pick);
        const to = `${chosen(this.#directories(), step.into) ?? 'P'}/${step.name}`;
        return from === undefined ? undefined : this.#try(`rename ${from} ${to}`, () => this.#program.rename(from, to));
      }
    }
  }

  async #removeTree(path: string): Promise<void> {
    for (const name of await this.#program.readdir(path)) {
      const at = `${path}/${name}`;
      if ((await this.#program.stat(at)).type === 'directory') await this.#removeTree(at);
      else await this.#program.unlink(at);
    }
    await this.#program.rmdir(path);
  }

  #write(path: string, appends: boolean): Promise<void> {
    const token = this.#newText('here');
    return this.#try(`${appends ? 'append to' : 'write'} ${path}: ${token}`, async () => {
      const file = await this.#program.open(path, O_RDWR | O_CREAT);
      const before = (await this.#program.pread(file, 0, 1 << 16)).toString();
      if (!appends) await this.#program.ftruncate(file, 0);
      await this.#program.pwrite(file, appends ? before.length : 0, token);
      const text = appends ? before + token : token;
      this.#writing = text;
      await this.#program.close(file);
      this.#ledger.gaveUp(before, 'here');
      this.#ledger.made(text, 'here');
    });
  }

  async #try(what: string, work: () => Promise<unknown>): Promise<void> {
    this.#log(`here: ${what}`);
    try {
      await passing(work());
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
      this.#log(`  ${told(error)}`);
    }
  }

  #doThere(step: Extract<Step, { there: unknown }>): void {
    const drive = this.#drive;
    const held = drive.held();
    const roots = drive.syncpointList.map(({ name, rootFolderId }) => ({ path: name, id: rootFolderId }));
    const folders = [
      ...roots,
      ...held.flatMap(({ path, entry }) => (entry.kind === 'folder' ? [{ path, id: entry.id }] : [])),
    ];
    const into = 'into' in step ? pick(folders, step.into) : undefined;
    const wanted = (one: Held): boolean =>
      'pick' in step &&
      (step.there === 'rename' ||
        step.there === 'move' ||
        (one.entry.kind === 'folder') === (step.there === 'removeAll'));
    const one = 'pick' in step ? pick(held.filter(wanted), step.pick) : undefined;
    switch (step.there) {
      case 'add':
      case 'mkdir':
        if (into === undefined || drive.isTaken(into.id, step.name)) return;
        this.#log(`there: ${step.there} ${into.path}/${step.name}`);
        if (step.there === 'mkdir') drive.addFolder(into.id, step.name);
        else drive.addFile(into.id, step.name, this.#newTheirs());
        break;
      case 'write':
        if (one === undefined) return;
        this.#log(`there: write ${one.path}`);
        this.#ledger.gaveUp(this.#textHeld(one), 'there');
        drive.write(one.parent, one.entry.name, this.#newTheirs());
        break;
      case 'remove':
      case 'removeAll':
        if (one === undefined) return;
        this.#log(`there: remove ${one.path}`);
        this.#gaveUpThere(one);
        drive.removeAll(one);
        break;
      case 'replace':
        if (one === undefined) return;
        this.#log(`there: a folder in place of ${one.path}`);
        this.#gaveUpThere(one);
        drive.removeAll(one);
        drive.addFolder(one.parent, one.entry.name);
        break;
      case 'rename':
        if (one === undefined || drive.isTaken(one.parent, step.name, one.entry) || one.entry.name === step.name)
          return;
        this.#log(`there: rename ${one.path} ${step.name}`);
        this.#touchedThere(one);
        drive.moveAll(one, one.parent, step.name);
        break;
      case 'move':
        if (one === undefined || into === undefined || into.id === one.parent || drive.isTaken(into.id, one.entry.name))
          return;
        if (one.path.slice(0, 1) !== into.path.slice(0, 1)) return;
        if (one.entry.kind === 'folder' && drive.isWithin(one.entry.id, into.id)) return;
        this.#log(`there: move ${one.path} to ${into.path}`);
        this.#touchedThere(one);
        drive.moveAll(one, into.id, one.entry.name);
        break;
    }
    drive.changed('there');
  }

  #newTheirs(): string {
    const text = this.#newText('there');
    this.#ledger.made(text, 'there');
    this.#log(`  ${text}`);
    return text;
  }

  #textHeld({ entry }: Held): string {
    return entry.kind === 'file' ? this.#drive.text(entry.versionId) : '';
  }

  #touchedThere(one: Held): void {
    for (const held of this.#at(one)) this.#ledger.touched(this.#textHeld(held), 'there');
  }

  #gaveUpThere(one: Held): void {
    for (const held of this.#at(one)) this.#ledger.gaveUp(this.#textHeld(held), 'there');
  }

  #at({ path }: Held): Held[] {
    return this.#drive.held().filter((held) => held.path === path || held.path.startsWith(`${path}/`));
  }

  #newText(by: string): string {
    this.#texts += 1;
    // No two of one length: a version is told by its length where nothing else tells it.
    return `${by}${this.#texts}${'.'.repeat(this.#texts)};`;
  }

  #log(line: string): void {
    this.trace.push(line);
  }
}

/** One of several, whatever the number. */
function pick<T>(from: readonly T[], index: number): T | undefined {
  return from[index % Math.max(1, from.length)];
}

function told(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
