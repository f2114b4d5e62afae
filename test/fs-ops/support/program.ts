// A program as the kernel would carry it out: paths, descriptors and offsets over Operations, without a kernel. Takes back each lookup
// it was granted, so that what is left over in the end is a leak. Failures are FsError.
import { errno } from '../../../src/base/errno.ts';
import {
  FsError,
  ROOT_NODE,
  type Attributes,
  type AttributeChange,
  type Caller,
  type Entry,
  type NodeId,
  type Operations,
} from '../../../src/fs-ops/operations.ts';
import { nobody } from './test-file-system.ts';

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;

interface Descriptor {
  readonly node: NodeId;
  readonly handle: number;
}

export class Program {
  readonly #operations: Operations;
  readonly #caller: Caller;
  readonly #descriptors = new Map<number, Descriptor>();
  /** Writes as the kernel sends them for one who is not privileged. */
  killsPrivileges = false;
  #nextDescriptor = 3;

  constructor(operations: Operations, caller: Caller = nobody) {
    this.#operations = operations;
    this.#caller = caller;
  }

  async open(path: string, flags: number, permissions = 0o644): Promise<number> {
    if ((flags & O_CREAT) !== 0) {
      const missing = await this.#inDirectory(path, async (parent, name) => {
        const found = await this.#operations.lookup(parent, name, this.#caller);
        if (found.node !== 0) this.#operations.forget(found.node, 1);
        if (found.node !== 0 && (flags & O_EXCL) === 0) return undefined;
        const kept = flags & ~(O_CREAT | O_APPEND);
        return this.#operations.create(parent, name, permissions, kept, this.#caller);
      });
      if (missing !== undefined) return this.#descriptor(missing.entry.node, missing.opened.handle);
    }
    const { node } = await this.#walk(path);
    try {
      const { handle } = await this.#operations.open(node, flags & ~(O_CREAT | O_EXCL), this.#caller);
      return this.#descriptor(node, handle);
    } catch (error) {
      this.#operations.forget(node, 1);
      throw error;
    }
  }

  async close(descriptor: number): Promise<void> {
    const { node, handle } = this.#at(descriptor);
    this.#descriptors.delete(descriptor);
    try {
      await this.#operations.flush(node, handle, this.#caller);
    } finally {
      this.#operations.release(handle);
      this.#operations.forget(node, 1);
    }
  }

  /** What is open there: descriptors of one node share its content. */
  node(descriptor: number): NodeId {
    return this.#at(descriptor).node;
  }

  /** close(2) of a duplicate: the descriptor stays open. */
  async closeDuplicate(descriptor: number): Promise<void> {
    const { node, handle } = this.#at(descriptor);
    await this.#operations.flush(node, handle, this.#caller);
  }

  /** The last mapping of a file goes after its last close(2). */
  unmap(descriptor: number): void {
    const { node, handle } = this.#at(descriptor);
    this.#descriptors.delete(descriptor);
    this.#operations.release(handle);
    this.#operations.forget(node, 1);
  }

  async pread(descriptor: number, offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const { node, handle } = this.#at(descriptor);
    return Buffer.concat(await this.#operations.read(node, handle, offsetBytes, lengthBytes, this.#caller));
  }

  async pwrite(descriptor: number, offsetBytes: number, data: string | Uint8Array): Promise<number> {
    const { node, handle } = this.#at(descriptor);
    const bytes = Buffer.from(data as string);
    const taken = await this.#operations.write(node, handle, offsetBytes, bytes, this.killsPrivileges, this.#caller);
    // The transport's buffer is used again.
    bytes.fill(0xee);
    return taken;
  }

  async fsync(descriptor: number): Promise<void> {
    const { node, handle } = this.#at(descriptor);
    await this.#operations.sync(node, handle, this.#caller);
  }

  async fallocate(descriptor: number, mode: number, offsetBytes: number, lengthBytes: number): Promise<void> {
    const { node, handle } = this.#at(descriptor);
    await this.#operations.allocate(node, handle, mode, offsetBytes, lengthBytes, this.#caller);
  }

  async fstat(descriptor: number): Promise<Attributes> {
    const { node, handle } = this.#at(descriptor);
    return (await this.#operations.getAttributes(node, handle, this.#caller)).attributes;
  }

  async fsetattr(descriptor: number, change: AttributeChange): Promise<Attributes> {
    const { node, handle } = this.#at(descriptor);
    return (await this.#operations.setAttributes(node, handle, change, this.#caller)).attributes;
  }

  ftruncate(descriptor: number, sizeBytes: number): Promise<Attributes> {
    return this.fsetattr(descriptor, { sizeBytes });
  }

  stat(path: string): Promise<Attributes> {
    return this.#atPath(
      path,
      async (node) => (await this.#operations.getAttributes(node, undefined, this.#caller)).attributes,
    );
  }

  setattr(path: string, change: AttributeChange): Promise<Attributes> {
    return this.#atPath(
      path,
      async (node) => (await this.#operations.setAttributes(node, undefined, change, this.#caller)).attributes,
    );
  }

  mkdir(path: string, permissions = 0o755): Promise<void> {
    return this.#inDirectory(path, async (parent, name) => {
      this.#operations.forget((await this.#operations.makeDirectory(parent, name, permissions, this.#caller)).node, 1);
    });
  }

  mknod(path: string, permissions = 0o644): Promise<void> {
    return this.#inDirectory(path, async (parent, name) => {
      this.#operations.forget((await this.#operations.makeFile(parent, name, permissions, this.#caller)).node, 1);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#inDirectory(path, async (parent, name) => this.#operations.unlink(parent, name, this.#caller));
  }

  rmdir(path: string): Promise<void> {
    return this.#inDirectory(path, async (parent, name) =>
      this.#operations.removeDirectory(parent, name, this.#caller),
    );
  }

  rename(from: string, to: string, flags: { noReplace?: boolean; exchange?: boolean } = {}): Promise<void> {
    return this.#inDirectory(from, (fromParent, fromName) =>
      this.#inDirectory(to, async (toParent, toName) =>
        this.#operations.rename(
          { parent: fromParent, name: fromName },
          { parent: toParent, name: toName },
          { noReplace: flags.noReplace ?? false, exchange: flags.exchange ?? false },
          this.#caller,
        ),
      ),
    );
  }

  readdir(path: string): Promise<string[]> {
    return this.#atPath(path, async (node) => {
      const names: string[] = [];
      const { handle } = await this.#operations.openDirectory(node, this.#caller);
      let cookie = 0;
      for (let more = true; more;) {
        more = false;
        const sink = (row: { name: string; cookie: number }): boolean => {
          names.push(row.name);
          cookie = row.cookie;
          more = true;
          return true;
        };
        await this.#operations.readDirectory(node, handle, cookie, false, sink, this.#caller);
      }
      this.#operations.releaseDirectory(handle);
      return names.filter((name) => name !== '.' && name !== '..').sort();
    });
  }

  xattr(path: string, name: string): Promise<string> {
    return this.#atPath(path, async (node) =>
      Buffer.from(
        await this.#operations.getExtendedAttribute(node, `user.syncplicity.${name}`, this.#caller),
      ).toString(),
    );
  }

  /** Writes a whole file as cp does. */
  async writeFile(path: string, content: string | Uint8Array): Promise<void> {
    const descriptor = await this.open(path, O_WRONLY | O_CREAT | O_TRUNC);
    await this.pwrite(descriptor, 0, content);
    await this.close(descriptor);
  }

  async readFile(path: string): Promise<string> {
    const descriptor = await this.open(path, O_RDONLY);
    const content = await this.pread(descriptor, 0, 1 << 20);
    await this.close(descriptor);
    return content.toString();
  }

  #descriptor(node: NodeId, handle: number): number {
    const descriptor = this.#nextDescriptor;
    this.#nextDescriptor += 1;
    this.#descriptors.set(descriptor, { node, handle });
    return descriptor;
  }

  #at(descriptor: number): Descriptor {
    const found = this.#descriptors.get(descriptor);
    if (found === undefined) throw new FsError(errno.EBADF, `no descriptor ${descriptor}`);
    return found;
  }

  async #walk(path: string): Promise<{ readonly node: NodeId; readonly entry: Entry | undefined }> {
    let node: NodeId = ROOT_NODE;
    let entry: Entry | undefined;
    for (const name of path.split('/').filter((part) => part !== '')) {
      const held = node;
      let found;
      try {
        found = await this.#operations.lookup(node, name, this.#caller);
      } finally {
        if (held !== ROOT_NODE) this.#operations.forget(held, 1);
      }
      if (!('attributes' in found)) throw new FsError(errno.ENOENT, `no ${name} of ${path}`);
      node = found.node;
      entry = found;
    }
    return { node, entry };
  }

  async #atPath<T>(path: string, work: (node: NodeId) => Promise<T>): Promise<T> {
    const { node, entry } = await this.#walk(path);
    try {
      return await work(node);
    } finally {
      if (entry !== undefined) this.#operations.forget(node, 1);
    }
  }

  #inDirectory<T>(path: string, work: (parent: NodeId, name: string) => T | Promise<T>): Promise<T> {
    const cut = path.lastIndexOf('/');
    return this.#atPath(path.slice(0, Math.max(0, cut)), async (parent) => {
      const { attributes } = await this.#operations.getAttributes(parent, undefined, this.#caller);
      if (attributes.type !== 'directory') throw new FsError(errno.ENOTDIR, `a file lies above ${path}`);
      return work(parent, path.slice(cut + 1));
    });
  }
}
