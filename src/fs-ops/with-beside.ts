// The file system with what is shown beside it: requests about nodes and handles of that go there, all others to the file system as they
// came. The reserved names are looked for in the folder first; only where it has no such entry do they lead beside it.
import { errno } from '../base/errno.ts';
import type { Beside } from './beside.ts';
import type { FileSystem } from './file-system.ts';
import {
  FsError,
  type Answer,
  type AttributeChange,
  type Attributes,
  type Caller,
  type Capacity,
  type Entry,
  type NodeId,
  type NodePlace,
  type NoEntry,
  type OpenDirectory,
  type OpenFile,
  type Operations,
  type RenameFlags,
  type RowSink,
} from './operations.ts';

interface KnownAttributes {
  readonly attributes: Attributes;
  readonly lifetimeMs: number;
}

/** What a transport is given where folders show more than their entries. */
export class WithBeside implements Operations {
  readonly #files: FileSystem;
  readonly #beside: Beside;

  constructor(fileSystem: FileSystem, beside: Beside) {
    this.#files = fileSystem;
    this.#beside = beside;
  }

  lookup(parent: NodeId, name: string, caller: Caller): Answer<Entry | NoEntry> {
    if (this.#beside.owns(parent)) return this.#beside.lookup(parent, name, caller);
    const found = this.#files.lookup(parent, name, caller);
    if (!this.#beside.reserves(name)) return found;
    const beside = (entry: Entry | NoEntry): Entry | NoEntry =>
      entry.node === 0 ? (this.#beside.enter(parent, name) ?? entry) : entry;
    return found instanceof Promise ? found.then(beside) : beside(found);
  }

  forget(node: NodeId, count: number): void {
    if (this.#beside.owns(node)) this.#beside.forget(node, count);
    else this.#files.forget(node, count);
  }

  getAttributes(node: NodeId): KnownAttributes {
    return this.#beside.owns(node) ? this.#beside.getAttributes(node) : this.#files.getAttributes(node);
  }

  setAttributes(
    node: NodeId,
    handle: number | undefined,
    change: AttributeChange,
    caller: Caller,
  ): Answer<KnownAttributes> {
    this.#requireChangeable(node);
    return this.#files.setAttributes(node, handle, change, caller);
  }

  access(node: NodeId, mask: number): void {
    if (!this.#beside.owns(node)) this.#files.access(node, mask);
  }

  open(node: NodeId, flags: number, caller: Caller, killPrivileges?: boolean): Answer<OpenFile> {
    if (this.#beside.owns(node)) return this.#beside.open(node, flags);
    return this.#files.begin(this.#files.open(node, flags, caller, killPrivileges), caller);
  }

  read(
    node: NodeId,
    handle: number,
    offsetBytes: number,
    lengthBytes: number,
    caller: Caller,
  ): Answer<readonly Uint8Array[]> {
    if (this.#beside.owns(handle)) return this.#beside.read(handle, offsetBytes, lengthBytes, caller);
    return this.#files.read(node, handle, offsetBytes, lengthBytes, caller);
  }

  create(
    parent: NodeId,
    name: string,
    permissions: number,
    flags: number,
    caller: Caller,
    killPrivileges?: boolean,
  ): Answer<{ readonly entry: Entry; readonly opened: OpenFile }> {
    this.#requireFree({ parent, name });
    return this.#files.create(parent, name, permissions, flags, caller, killPrivileges);
  }

  makeFile(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry> {
    this.#requireFree({ parent, name });
    return this.#files.makeFile(parent, name, permissions, caller);
  }

  makeDirectory(parent: NodeId, name: string, permissions: number, caller: Caller): Answer<Entry> {
    this.#requireFree({ parent, name });
    return this.#files.makeDirectory(parent, name, permissions, caller);
  }

  unlink(parent: NodeId, name: string, caller: Caller): Answer<void> {
    this.#requireFree({ parent, name });
    return this.#files.unlink(parent, name, caller);
  }

  removeDirectory(parent: NodeId, name: string, caller: Caller): Answer<void> {
    this.#requireFree({ parent, name });
    return this.#files.removeDirectory(parent, name, caller);
  }

  rename(from: NodePlace, to: NodePlace, flags: RenameFlags, caller: Caller): Answer<void> {
    this.#requireFree(from);
    this.#requireFree(to);
    return this.#files.rename(from, to, flags, caller);
  }

  write(
    node: NodeId,
    handle: number,
    offsetBytes: number,
    data: Uint8Array,
    killPrivileges: boolean,
    caller: Caller,
  ): Answer<number> {
    this.#requireChangeable(node);
    return this.#files.write(node, handle, offsetBytes, data, killPrivileges, caller);
  }

  allocate(node: NodeId, handle: number, mode: number, offsetBytes: number, lengthBytes: number, caller: Caller): void {
    this.#requireChangeable(node);
    this.#files.allocate(node, handle, mode, offsetBytes, lengthBytes, caller);
  }

  setExtendedAttribute(
    node: NodeId,
    name: string,
    value: Uint8Array | undefined,
    flags: number,
    caller: Caller,
  ): Answer<void> {
    this.#requireChangeable(node);
    return this.#files.setExtendedAttribute(node, name, value, flags, caller);
  }

  flush(node: NodeId, handle: number, caller: Caller): Answer<void> {
    return this.#beside.owns(handle) ? undefined : this.#files.flush(node, handle, caller);
  }

  sync(node: NodeId, handle: number, caller: Caller): Answer<void> {
    return this.#beside.owns(handle) ? undefined : this.#files.sync(node, handle, caller);
  }

  syncDirectory(node: NodeId, handle: number, caller: Caller): Answer<void> {
    return this.#beside.owns(handle) ? undefined : this.#files.syncDirectory(node, handle, caller);
  }

  release(handle: number): void {
    if (this.#beside.owns(handle)) this.#beside.release(handle);
    else this.#files.release(handle);
  }

  openDirectory(node: NodeId, caller: Caller): Answer<OpenDirectory> {
    if (this.#beside.owns(node)) return this.#beside.openDirectory(node, caller);
    return this.#files.openDirectory(node, caller);
  }

  readDirectory(
    node: NodeId,
    handle: number,
    cookie: number,
    plus: boolean,
    sink: RowSink,
    caller: Caller,
  ): Answer<void> {
    if (!this.#beside.owns(handle)) return this.#files.readDirectory(node, handle, cookie, plus, sink, caller);
    this.#beside.readDirectory(handle, cookie, plus, sink);
    return undefined;
  }

  releaseDirectory(handle: number): void {
    if (this.#beside.owns(handle)) this.#beside.release(handle);
    else this.#files.releaseDirectory(handle);
  }

  capacity(node: NodeId): Capacity {
    return this.#files.capacity(this.#beside.owns(node) ? this.#beside.folderNode(node) : node);
  }

  getExtendedAttribute(node: NodeId, name: string, caller: Caller): Answer<Uint8Array> {
    if (!this.#beside.owns(node)) return this.#files.getExtendedAttribute(node, name, caller);
    const value = this.#beside.extendedAttributes(node).get(name);
    if (value === undefined) throw new FsError(errno.ENODATA, `no attribute ${name}`);
    return Buffer.from(value);
  }

  listExtendedAttributes(node: NodeId): readonly string[] {
    if (!this.#beside.owns(node)) return this.#files.listExtendedAttributes(node);
    return [...this.#beside.extendedAttributes(node).keys()];
  }

  #requireChangeable(node: NodeId): void {
    if (this.#beside.owns(node)) this.#beside.refuseChange(node);
  }

  /** A name that is, or may become, a folder's own entry: not one beside the tree, nor one that leads there. */
  #requireFree({ parent, name }: NodePlace): void {
    this.#requireChangeable(parent);
    if (!this.#beside.reserves(name) || this.#files.has(parent, name)) return;
    throw new FsError(
      errno.EROFS,
      `${this.#files.view.path(parent)}/${name} leads to what is shown beside the files: it cannot be changed`,
    );
  }
}
