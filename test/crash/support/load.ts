// Programs at work in a directory of their own: make, write, rename, remove, as people's programs do, and remember what they were told
// was done. What was under way when the drive went is known too: it may have happened or not.
import { createHash } from 'node:crypto';
import { mkdir, open, rename, rmdir, truncate, unlink, utimes, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** What a file is to be: its content, and the times it may have, each as the service keeps it. */
export interface KnownFile {
  readonly kind: 'file';
  readonly sha256: string;
  readonly lengthBytes: number;
  /** In 100 ns. More than one where a time was set that need not reach the service. */
  readonly modified: readonly bigint[];
}

export type Known = KnownFile | { readonly kind: 'folder' };

/** By path below the worker's directory. */
export type Tree = ReadonlyMap<string, Known>;

const FILES_MAX = 14;
/** More than one chunk, and than what goes in a moment over the line. */
const LARGE_BYTES = 6 * 2 ** 20;

export class Worker {
  readonly directory: string;
  /** The last things it did, for messages. */
  readonly log: string[] = [];
  readonly #random: () => number;
  readonly #contents = new Map<string, Buffer>();
  #tree = new Map<string, Known>();
  #next: Tree | undefined;
  #stopping = false;
  #names = 0;

  /** `random` gives numbers in [0, 1); `directory` is there, and empty. */
  constructor(directory: string, random: () => number) {
    this.directory = directory;
    this.#random = random;
  }

  /** The trees that may be there: as it was told last, and as it would be if what it was about has happened. */
  get possible(): readonly Tree[] {
    return this.#next === undefined ? [this.#tree] : [this.#tree, this.#next];
  }

  /** Goes on from that one of {@link possible}. */
  settle(tree: Tree): void {
    this.#tree = new Map(tree);
    this.#next = undefined;
  }

  /** Works until told to stop, or until the drive is gone. */
  async work(): Promise<void> {
    this.#stopping = false;
    while (!this.#stopping) {
      try {
        await this.#step();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== undefined && gone.has(code)) return;
        throw new Error(`${this.log.slice(-3).join('; ')}: ${String(error)}`, { cause: error });
      }
    }
  }

  stop(): void {
    this.#stopping = true;
  }

  async #step(): Promise<void> {
    const files = this.#paths('file');
    const folders = this.#paths('folder');
    const file = pick(files, this.#random());
    const other = pick(files, this.#random());
    const folder = pick(folders, this.#random());
    const what = this.#random();
    if (file === undefined || (files.length < FILES_MAX && what < 0.25))
      return this.#write(this.#newPath(), this.#small());
    if (what < 0.3) return this.#write(file, this.#small());
    if (what < 0.34) return this.#write(this.#random() < 0.5 ? file : this.#newPath(), this.#large());
    if (what < 0.42) return this.#change(file);
    if (what < 0.47) return this.#truncate(file);
    if (what < 0.55) return this.#rename(file, this.#newPath());
    if (what < 0.63 && other !== undefined) return this.#rename(file, other);
    if (what < 0.7) return this.#save(file);
    if (what < 0.74) return this.#saveWithBackup(file);
    if (what < 0.8) return this.#setTime(file);
    if (what < 0.86 || folder === undefined) return this.#makeFolder(this.#newPath());
    if (what < 0.91) return this.#rename(folder, this.#newPath(folder));
    if (what < 0.95) return this.#removeAll(folder);
    return this.#remove(file);
  }

  /** Carries one thing out that happens whole or not at all, and is over when `work` is. */
  async #acknowledged<T>(what: string, change: (tree: Map<string, Known>) => void, work: () => Promise<T>): Promise<T> {
    const next = new Map(this.#tree);
    change(next);
    this.#next = next;
    this.log.push(what);
    if (this.log.length > 400) this.log.shift();
    const result = await work();
    this.#tree = next;
    this.#next = undefined;
    return result;
  }

  async #write(path: string, content: Buffer): Promise<void> {
    this.#place();
    await this.#intoFile(path, 'w', content, (file) => file.writeFile(content));
  }

  /** Writes over a part, or behind the end. */
  async #change(path: string): Promise<void> {
    const before = this.#contentOf(path);
    const at = Math.floor(this.#random() * (before.length + 1));
    const piece = this.#small();
    const content = Buffer.alloc(Math.max(before.length, at + piece.length));
    before.copy(content);
    piece.copy(content, at);
    await this.#intoFile(path, 'r+', content, (file) => file.write(piece, 0, piece.length, at));
  }

  async #intoFile(
    path: string,
    flags: string,
    content: Buffer,
    work: (file: FileHandle) => Promise<unknown>,
    sync = false,
  ): Promise<void> {
    this.log.push(`open ${path}`);
    const file = await open(join(this.directory, path), flags);
    try {
      await work(file);
      if (sync) await file.sync();
      const { mtimeNs } = await file.stat({ bigint: true });
      const known = this.#known(content, [mtimeNs / 100n]);
      await this.#acknowledged(
        `close ${path}`,
        (tree) => tree.set(path, known),
        () => file.close(),
      );
    } catch (error) {
      // The drive is gone, and with it the file.
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  async #truncate(path: string): Promise<void> {
    const before = this.#contentOf(path);
    const length = Math.floor(this.#random() * 2 * before.length);
    if (length === before.length) return;
    const content = Buffer.alloc(length);
    before.copy(content);
    // Its time is the drive's to tell; it is set right after.
    await this.#acknowledged(
      `truncate ${path}`,
      (tree) => tree.set(path, this.#known(content, [])),
      () => truncate(join(this.directory, path), length),
    );
    await this.#setTime(path);
  }

  async #setTime(path: string): Promise<void> {
    const seconds = 1_600_000_000 + Math.floor(this.#random() * 1e8);
    const known = this.#tree.get(path);
    if (known?.kind !== 'file') return;
    const modified = known.modified.length === 0 ? [] : [...known.modified, BigInt(seconds) * 10_000_000n];
    await this.#acknowledged(
      `utimes ${path} ${seconds}`,
      (tree) => tree.set(path, { ...known, modified }),
      () => utimes(join(this.directory, path), seconds, seconds),
    );
  }

  async #rename(from: string, to: string): Promise<void> {
    if (from === to || to.startsWith(`${from}/`) || this.#isBelow(to, from)) return;
    await this.#acknowledged(
      `rename ${from} ${to}`,
      (tree) => moveInside(tree, from, to),
      () => rename(join(this.directory, from), join(this.directory, to)),
    );
  }

  /** As most editors do. */
  async #save(path: string): Promise<void> {
    const temporary = `${path}.new`;
    const content = this.#small();
    await this.#intoFile(temporary, 'w', content, (file) => file.writeFile(content), this.#random() < 0.5);
    await this.#rename(temporary, path);
  }

  async #saveWithBackup(path: string): Promise<void> {
    await this.#rename(path, `${path}.old`);
    const content = this.#small();
    await this.#intoFile(path, 'w', content, (file) => file.writeFile(content));
    await this.#remove(`${path}.old`);
  }

  async #makeFolder(path: string): Promise<void> {
    await this.#acknowledged(
      `mkdir ${path}`,
      (tree) => tree.set(path, { kind: 'folder' }),
      () => mkdir(join(this.directory, path)),
    );
  }

  async #remove(path: string): Promise<void> {
    await this.#acknowledged(
      `unlink ${path}`,
      (tree) => tree.delete(path),
      () => unlink(join(this.directory, path)),
    );
  }

  async #removeAll(folder: string): Promise<void> {
    const inside = [...this.#tree].filter(([path]) => path.startsWith(`${folder}/`)).toReversed();
    for (const [path, { kind }] of inside.toSorted(([a], [b]) => b.length - a.length)) {
      if (kind === 'file') await this.#remove(path);
      else await this.#removeFolder(path);
    }
    await this.#removeFolder(folder);
  }

  async #removeFolder(path: string): Promise<void> {
    await this.#acknowledged(
      `rmdir ${path}`,
      (tree) => tree.delete(path),
      () => rmdir(join(this.directory, path)),
    );
  }

  #paths(kind: Known['kind']): string[] {
    return [...this.#tree].flatMap(([path, known]) => (known.kind === kind ? [path] : []));
  }

  #isBelow(path: string, folder: string): boolean {
    return this.#tree.get(path)?.kind === 'folder' && folder.startsWith(`${path}/`);
  }

  /** A path that nothing has, in a folder that is not below `notBelow`. */
  #newPath(notBelow?: string): string {
    const folders = this.#paths('folder').filter(
      (path) => path !== notBelow && !path.startsWith(`${notBelow ?? '/'}/`),
    );
    const folder = this.#random() < 0.5 ? undefined : pick(folders, this.#random());
    this.#names += 1;
    const name = `n${this.#names}`;
    return folder === undefined ? name : `${folder}/${name}`;
  }

  #small(): Buffer {
    return this.#bytes(1 + Math.floor(this.#random() * 20_000));
  }

  #large(): Buffer {
    return this.#bytes(LARGE_BYTES + Math.floor(this.#random() * 2 ** 20));
  }

  /** Different each time. */
  #bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length, `${this.directory} ${this.log.length} ${this.#random()} `);
    bytes.writeDoubleLE(this.#random(), Math.max(0, length - 8) & ~7);
    return bytes;
  }

  #known(content: Buffer, modified: readonly bigint[]): KnownFile {
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.#contents.set(sha256, content);
    return { kind: 'file', sha256, lengthBytes: content.length, modified };
  }

  #contentOf(path: string): Buffer {
    const known = this.#tree.get(path);
    const content = known?.kind === 'file' ? this.#contents.get(known.sha256) : undefined;
    if (content === undefined) throw new Error(`nobody wrote ${path}`);
    return content;
  }

  /** Forgets contents that no file has any more. */
  #place(): void {
    const used = new Set(
      this.possible.flatMap((tree) => [...tree.values()].map((known) => ('sha256' in known ? known.sha256 : ''))),
    );
    for (const sha256 of this.#contents.keys()) if (!used.has(sha256)) this.#contents.delete(sha256);
  }
}

/** What calls fail with when the daemon is gone. */
const gone: ReadonlySet<string> = new Set(['ENOTCONN', 'ECONNABORTED', 'EIO', 'ENODEV', 'EINTR']);

function pick<T>(from: readonly T[], random: number): T | undefined {
  return from[Math.floor(random * from.length)];
}

function moveInside(tree: Map<string, Known>, from: string, to: string): void {
  for (const [path, known] of [...tree]) {
    if (path !== from && !path.startsWith(`${from}/`)) continue;
    tree.delete(path);
    tree.set(to + path.slice(from.length), known);
  }
}
