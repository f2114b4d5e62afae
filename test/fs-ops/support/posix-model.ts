// What POSIX says a program sees, in memory and without a service: the reference of the model test. Differs from a local disk in two
// places, as the contract does: names that fold alike are one name, and the top level is fixed.
import { errno } from '../../../src/base/errno.ts';
import { foldName } from '../../../src/base/fold-name.ts';
import { FsError } from '../../../src/fs-ops/operations.ts';
import { O_CREAT, O_EXCL, O_TRUNC } from './program.ts';

export interface ModelFile {
  readonly kind: 'file';
  content: Buffer;
  permissions: number;
  linked: boolean;
  modifiedMs: number;
  changedMs: number;
  /** Changed since its last commit. */
  dirty: boolean;
  /** As a crash leaves it; undefined while the program that made it has not closed it. */
  kept: { readonly content: Buffer; readonly modifiedMs: number; readonly changedMs: number } | undefined;
}

export interface ModelDirectory {
  readonly kind: 'directory';
  readonly entries: Map<string, ModelNode>;
  permissions: number;
  modifiedMs: number | undefined;
  changedMs: number | undefined;
  readonly readOnly: boolean;
}

export type ModelNode = ModelFile | ModelDirectory;

export interface ModelStat {
  readonly node: ModelNode;
  readonly sizeBytes: number;
  readonly linkCount: number;
}

interface ModelDescriptor {
  readonly file: ModelFile;
  readonly writes: boolean;
  readonly made: boolean;
}

function fail(number: number): never {
  throw new FsError(number, 'model');
}

export class PosixModel {
  readonly root: ModelDirectory;
  readonly descriptors = new Map<number, ModelDescriptor>();
  readonly #nowMs: () => number;
  #nextDescriptor = 3;

  constructor(nowMs: () => number, syncpoints: readonly { readonly name: string; readonly readOnly: boolean }[]) {
    this.#nowMs = nowMs;
    this.root = PosixModel.directory(true);
    for (const { name, readOnly } of syncpoints) this.root.entries.set(name, PosixModel.directory(readOnly));
  }

  /** A directory whose times only the service knows. */
  static directory(readOnly = false): ModelDirectory {
    return {
      kind: 'directory',
      entries: new Map(),
      permissions: 0o755,
      modifiedMs: undefined,
      changedMs: undefined,
      readOnly,
    };
  }

  /** A file that was there before. */
  static file(content: string, modifiedMs: number): ModelFile {
    const bytes = Buffer.from(content);
    return {
      kind: 'file',
      content: bytes,
      permissions: 0o644,
      linked: true,
      modifiedMs,
      changedMs: modifiedMs,
      dirty: false,
      kept: { content: bytes, modifiedMs, changedMs: modifiedMs },
    };
  }

  open(path: string, flags: number, permissions = 0o644): number {
    const { directory, name } = this.#parent(path);
    let node = directory.entries.get(name);
    let made = false;
    const writes = (flags & 3) !== 0;
    if (node === undefined) {
      if ((flags & O_CREAT) === 0) fail(errno.ENOENT);
      node = this.#make(directory, name, permissions, undefined);
      made = true;
    } else {
      if ((flags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) {
        this.#requireEntries(directory);
        fail(errno.EEXIST);
      }
      if (node.kind === 'directory') fail(errno.EISDIR);
      if ((writes || (flags & O_TRUNC) !== 0) && directory.readOnly) fail(errno.EACCES);
      if ((flags & O_TRUNC) !== 0) this.#truncate(node);
    }
    const descriptor = this.#nextDescriptor;
    this.#nextDescriptor += 1;
    this.descriptors.set(descriptor, { file: node, writes, made });
    return descriptor;
  }

  close(descriptor: number): void {
    this.closeDuplicate(descriptor);
    this.descriptors.delete(descriptor);
  }

  closeDuplicate(descriptor: number): void {
    const { file, made } = this.#at(descriptor);
    this.#commit(file, made);
  }

  unmap(descriptor: number): void {
    const { file, made, writes } = this.#at(descriptor);
    if (writes || made) this.#commit(file, made);
    this.descriptors.delete(descriptor);
  }

  fsync(descriptor: number): void {
    this.closeDuplicate(descriptor);
  }

  pread(descriptor: number, offsetBytes: number, lengthBytes: number): Buffer {
    return this.#at(descriptor).file.content.subarray(offsetBytes, offsetBytes + lengthBytes);
  }

  pwrite(descriptor: number, offsetBytes: number, data: string): number {
    const { file, writes } = this.#at(descriptor);
    if (!writes) fail(errno.EBADF);
    const bytes = Buffer.from(data);
    const grown = Buffer.alloc(Math.max(file.content.length, offsetBytes + bytes.length));
    file.content.copy(grown);
    bytes.copy(grown, offsetBytes);
    file.content = grown;
    this.#contentChanged(file);
    return bytes.length;
  }

  ftruncate(descriptor: number, sizeBytes: number): void {
    const { file, writes } = this.#at(descriptor);
    if (!writes) fail(errno.EBADF);
    this.#resize(file, sizeBytes);
  }

  truncate(path: string, sizeBytes: number): void {
    const node = this.#node(path);
    if (this.#above(path).readOnly) fail(node === this.root ? errno.EPERM : errno.EACCES);
    if (node.kind === 'directory') fail(errno.EISDIR);
    this.#resize(node, sizeBytes);
    this.#commit(node, false);
  }

  punch(descriptor: number, offsetBytes: number, lengthBytes: number): void {
    const { file, writes } = this.#at(descriptor);
    if (!writes) fail(errno.EBADF);
    if (offsetBytes >= file.content.length) return;
    file.content = Buffer.from(file.content);
    file.content.fill(0, offsetBytes, Math.min(file.content.length, offsetBytes + lengthBytes));
    this.#contentChanged(file);
  }

  chmod(path: string, permissions: number): void {
    const node = this.#node(path);
    if (this.#above(path).readOnly) fail(node === this.root ? errno.EPERM : errno.EACCES);
    node.permissions = permissions;
    this.#attributesChanged(node);
  }

  utimes(path: string, modifiedMs: number): void {
    const node = this.#node(path);
    if (this.#above(path).readOnly) fail(node === this.root ? errno.EPERM : errno.EACCES);
    this.#touch(node, modifiedMs);
  }

  futimes(descriptor: number, modifiedMs: number): void {
    this.#touch(this.#at(descriptor).file, modifiedMs);
  }

  stat(path: string): ModelStat {
    return this.#stat(this.#node(path));
  }

  fstat(descriptor: number): ModelStat {
    return this.#stat(this.#at(descriptor).file);
  }

  mkdir(path: string, permissions = 0o755): void {
    const { directory, name } = this.#parent(path);
    this.#requireEntries(directory);
    this.#requireFree(directory, name);
    const now = this.#nowMs();
    directory.entries.set(name, {
      kind: 'directory',
      entries: new Map(),
      permissions,
      modifiedMs: now,
      changedMs: now,
      readOnly: false,
    });
    this.#entriesChanged(directory);
  }

  mknod(path: string): void {
    const { directory, name } = this.#parent(path);
    this.#requireEntries(directory);
    if (directory.entries.has(name)) fail(errno.EEXIST);
    this.#make(directory, name, 0o644, Buffer.alloc(0));
  }

  unlink(path: string): void {
    const { directory, name } = this.#parent(path);
    this.#requireEntries(directory);
    const node = directory.entries.get(name) ?? fail(errno.ENOENT);
    if (node.kind === 'directory') fail(errno.EISDIR);
    directory.entries.delete(name);
    this.#unlinked(node);
    this.#entriesChanged(directory);
  }

  rmdir(path: string): void {
    const { directory, name } = this.#parent(path);
    this.#requireEntries(directory);
    const node = directory.entries.get(name) ?? fail(errno.ENOENT);
    if (node.kind === 'file') fail(errno.ENOTDIR);
    if (node.entries.size > 0) fail(errno.ENOTEMPTY);
    directory.entries.delete(name);
    this.#entriesChanged(directory);
  }

  rename(from: string, to: string, flags: { noReplace?: boolean; exchange?: boolean } = {}): void {
    const source = this.#parent(from);
    const target = this.#parent(to);
    this.#requireEntries(source.directory);
    this.#requireEntries(target.directory);
    const node = source.directory.entries.get(source.name) ?? fail(errno.ENOENT);
    const replaced = target.directory.entries.get(target.name);
    if (flags.exchange === true) {
      if (replaced === undefined) fail(errno.ENOENT);
      this.#exchange(node, source, replaced, target);
      return;
    }
    if (replaced === node) return;
    if (flags.noReplace === true && replaced !== undefined) fail(errno.EEXIST);
    if (contains(node, target.directory)) fail(errno.EINVAL);
    if (replaced !== undefined) {
      if (node.kind === 'directory' && replaced.kind === 'file') fail(errno.ENOTDIR);
      if (node.kind === 'file' && replaced.kind === 'directory') fail(errno.EISDIR);
      if (replaced.kind === 'directory' && replaced.entries.size > 0) fail(errno.ENOTEMPTY);
      if (replaced.kind === 'file') this.#unlinked(replaced);
    } else {
      this.#requireFree(target.directory, target.name, source.directory === target.directory ? source.name : undefined);
    }
    source.directory.entries.delete(source.name);
    target.directory.entries.set(target.name, node);
    this.#moved(node, source.directory, target.directory);
  }

  readdir(path: string): string[] {
    const node = this.#node(path);
    if (node.kind === 'file') fail(errno.ENOTDIR);
    return [...node.entries.keys()].sort();
  }

  /** What is left when the daemon is killed. */
  crash(): void {
    this.descriptors.clear();
    const visit = (directory: ModelDirectory): void => {
      for (const [name, node] of directory.entries) {
        if (node.kind === 'directory') visit(node);
        else if (node.kept === undefined) {
          directory.entries.delete(name);
          // As before the file was made, or as then, unless something was done there since.
          directory.modifiedMs = directory.changedMs = undefined;
        } else {
          node.content = node.kept.content;
          node.modifiedMs = node.kept.modifiedMs;
          node.changedMs = node.kept.changedMs;
          node.dirty = false;
        }
      }
    };
    visit(this.root);
  }

  #exchange(
    node: ModelNode,
    source: { directory: ModelDirectory; name: string },
    other: ModelNode,
    target: { directory: ModelDirectory; name: string },
  ): void {
    if (node === other) return;
    if (contains(node, target.directory) || contains(other, source.directory)) fail(errno.EINVAL);
    if (this.#syncpoint(source.directory) !== this.#syncpoint(target.directory)) fail(errno.EINVAL);
    source.directory.entries.set(source.name, other);
    target.directory.entries.set(target.name, node);
    this.#renamed(other);
    this.#moved(node, source.directory, target.directory);
  }

  #moved(node: ModelNode, source: ModelDirectory, target: ModelDirectory): void {
    this.#renamed(node);
    this.#entriesChanged(source);
    this.#entriesChanged(target);
  }

  /** What is renamed has its content from then on, whether or not who made it has closed it. */
  #renamed(node: ModelNode): void {
    if (node.kind === 'file') this.#commit(node, true);
    this.#attributesChanged(node);
  }

  #syncpoint(directory: ModelDirectory): string | undefined {
    for (const [name, top] of this.root.entries) if (contains(top, directory)) return name;
    return undefined;
  }

  #make(directory: ModelDirectory, name: string, permissions: number, kept: Buffer | undefined): ModelFile {
    this.#requireEntries(directory);
    this.#requireFree(directory, name);
    const now = this.#nowMs();
    const file: ModelFile = {
      kind: 'file',
      content: Buffer.alloc(0),
      permissions,
      linked: true,
      modifiedMs: now,
      changedMs: now,
      dirty: false,
      kept: kept === undefined ? undefined : { content: kept, modifiedMs: now, changedMs: now },
    };
    directory.entries.set(name, file);
    this.#entriesChanged(directory);
    return file;
  }

  #truncate(file: ModelFile): void {
    if (file.content.length > 0 || file.dirty) {
      file.content = Buffer.alloc(0);
      this.#contentChanged(file);
    } else {
      this.#touch(file, this.#nowMs());
    }
  }

  #resize(file: ModelFile, sizeBytes: number): void {
    if (sizeBytes === file.content.length) return;
    const resized = Buffer.alloc(sizeBytes);
    file.content.copy(resized);
    file.content = resized;
    this.#contentChanged(file);
  }

  #contentChanged(file: ModelFile): void {
    file.dirty = true;
    file.modifiedMs = file.changedMs = this.#nowMs();
  }

  #touch(node: ModelNode, modifiedMs: number): void {
    node.modifiedMs = modifiedMs;
    this.#attributesChanged(node);
    // Without changed content there is nothing to wait for.
    if (node.kind === 'file' && !node.dirty && node.kept !== undefined) node.kept = { ...node.kept, modifiedMs };
  }

  #unlinked(file: ModelFile): void {
    file.linked = false;
    file.changedMs = this.#nowMs();
  }

  #attributesChanged(node: ModelNode): void {
    node.changedMs = this.#nowMs();
    if (node.kind === 'file' && node.kept !== undefined) node.kept = { ...node.kept, changedMs: node.changedMs };
  }

  #commit(file: ModelFile, made: boolean): void {
    if (!file.dirty && !(made && file.kept === undefined)) return;
    file.dirty = false;
    file.kept = { content: file.content, modifiedMs: file.modifiedMs, changedMs: file.changedMs };
  }

  #entriesChanged(directory: ModelDirectory): void {
    directory.modifiedMs = directory.changedMs = this.#nowMs();
  }

  #requireEntries(directory: ModelDirectory): void {
    if (directory === this.root) fail(errno.EPERM);
    if (directory.readOnly) fail(errno.EACCES);
  }

  #requireFree(directory: ModelDirectory, name: string, moved?: string): void {
    for (const other of directory.entries.keys()) {
      if (other !== moved && foldName(other) === foldName(name)) fail(errno.EEXIST);
    }
  }

  #stat(node: ModelNode): ModelStat {
    const file = node.kind === 'file';
    return { node, sizeBytes: file ? node.content.length : 0, linkCount: file && !node.linked ? 0 : 1 };
  }

  #at(descriptor: number): ModelDescriptor {
    return this.descriptors.get(descriptor) ?? fail(errno.EBADF);
  }

  #node(path: string): ModelNode {
    let node: ModelNode = this.root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (node.kind === 'file') fail(errno.ENOTDIR);
      node = node.entries.get(name) ?? fail(errno.ENOENT);
    }
    return node;
  }

  /** The directory whose permission holds for an object. */
  #above(path: string): ModelDirectory {
    const [top] = path.split('/');
    const syncpoint = this.root.entries.get(top ?? '');
    return syncpoint?.kind === 'directory' ? syncpoint : this.root;
  }

  #parent(path: string): { directory: ModelDirectory; name: string } {
    const cut = path.lastIndexOf('/');
    const directory = this.#node(path.slice(0, Math.max(0, cut)));
    if (directory.kind === 'file') fail(errno.ENOTDIR);
    return { directory, name: path.slice(cut + 1) };
  }
}

function contains(node: ModelNode, searched: ModelDirectory): boolean {
  if (node.kind === 'file') return false;
  return node === searched || [...node.entries.values()].some((child) => contains(child, searched));
}
