// Random programs over the file system and over a model of POSIX: same results, same errnos, same tree, through restarts and kills.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FsError, type Attributes } from '../../src/fs-ops/operations.ts';
import type { FolderId } from '../../src/remote-drive.ts';
import { MemoryDrive } from '../fakes/memory-drive.ts';
import { PosixModel, type ModelDirectory, type ModelNode, type ModelStat } from './support/posix-model.ts';
import { O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, Program } from './support/program.ts';
import { TestFileSystem } from './support/test-file-system.ts';

const RUNS = Number(process.env['MODEL_RUNS'] ?? 60);
/** Of MemoryDrive's files. */
const REMOTE_MS = 1_473_662_671_900;

const name = fc.constantFrom('a', 'b', 'c', 'A', 'stored', 'folder');
const path = fc.oneof(
  { weight: 5, arbitrary: name.map((last) => `P/${last}`) },
  { weight: 3, arbitrary: fc.tuple(name, name).map(([above, last]) => `P/${above}/${last}`) },
  { weight: 2, arbitrary: fc.tuple(name, name).map(([above, last]) => `Q/${above}/${last}`) },
  { weight: 1, arbitrary: name.map((last) => `Q/${last}`) },
  { weight: 1, arbitrary: name.map((last) => `R/${last}`) },
  { weight: 1, arbitrary: fc.constantFrom('P', 'new') },
);
const descriptor = fc.nat(5);
const offset = fc.nat(20);

type Step =
  | { readonly verb: 'open'; readonly path: string; readonly flags: number }
  | { readonly verb: 'pwrite'; readonly descriptor: number; readonly offset: number; readonly data: string }
  | { readonly verb: 'pread' | 'ftruncate' | 'punch'; readonly descriptor: number; readonly offset: number }
  | { readonly verb: 'close' | 'closeDuplicate' | 'unmap' | 'fsync' | 'fstat' | 'futimes'; readonly descriptor: number }
  | {
      readonly verb: 'mkdir' | 'mknod' | 'unlink' | 'rmdir' | 'readdir' | 'stat' | 'utimes' | 'chmod';
      readonly path: string;
    }
  | { readonly verb: 'truncate'; readonly path: string; readonly offset: number }
  | {
      readonly verb: 'rename';
      readonly path: string;
      readonly to: string;
      readonly how: 'replace' | 'noReplace' | 'exchange';
    }
  | { readonly verb: 'restart' | 'kill' | 'relist' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constant('open' as const),
      path,
      flags: fc.constantFrom(
        O_RDONLY,
        O_RDWR,
        O_RDWR | O_CREAT,
        O_WRONLY | O_CREAT | O_TRUNC,
        O_RDWR | O_CREAT | O_EXCL,
        O_WRONLY | O_TRUNC,
      ),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constant('pwrite' as const),
      descriptor,
      offset,
      data: fc.constantFrom('x', 'yy', 'hello world', '0123456789012345678901234'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      verb: fc.constantFrom('pread' as const, 'ftruncate' as const, 'punch' as const),
      descriptor,
      offset,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      verb: fc.constantFrom(
        'close' as const,
        'close' as const,
        'closeDuplicate' as const,
        'unmap' as const,
        'fsync' as const,
        'fstat' as const,
        'futimes' as const,
      ),
      descriptor,
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      verb: fc.constantFrom(
        'mkdir' as const,
        'mkdir' as const,
        'mknod' as const,
        'unlink' as const,
        'rmdir' as const,
        'readdir' as const,
        'stat' as const,
        'utimes' as const,
        'chmod' as const,
      ),
      path,
    }),
  },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('truncate' as const), path, offset }) },
  {
    weight: 8,
    arbitrary: fc.record({
      verb: fc.constant('rename' as const),
      path,
      to: path,
      how: fc.constantFrom('replace' as const, 'replace' as const, 'noReplace' as const, 'exchange' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ verb: fc.constantFrom('restart' as const, 'kill' as const, 'relist' as const) }),
  },
);

class Comparison {
  readonly #drive = new MemoryDrive();
  readonly #model: PosixModel;
  /** Descriptors of model and program, in the order of opening. */
  readonly #descriptors: { readonly model: number; readonly real: number }[] = [];
  readonly #inodes = new Map<ModelNode, number>();
  #real!: TestFileSystem;
  #program!: Program;
  #clockMs = 1_700_000_000_000;

  constructor() {
    this.#model = new PosixModel(
      () => this.#clockMs,
      [
        { name: 'P', readOnly: false },
        { name: 'Q', readOnly: false },
        { name: 'R', readOnly: true },
      ],
    );
    for (const top of ['P', 'Q', 'R']) {
      const { rootFolderId } = this.#drive.addSyncpoint(top, { permission: top === 'R' ? 'read-only' : 'read-write' });
      const directory = this.#model.root.entries.get(top) as ModelDirectory;
      this.#store(directory, rootFolderId, 'stored', 'from the service');
      const folder = PosixModel.directory();
      directory.entries.set('folder', folder);
      this.#store(folder, this.#drive.addFolder(rootFolderId, 'folder'), 'b', 'deeper');
    }
  }

  async start(state?: TestFileSystem['state']): Promise<void> {
    const options = { nowMs: () => this.#clockMs, lifetimeMs: 1e9 };
    this.#real = await TestFileSystem.start(this.#drive, state === undefined ? options : { ...options, state });
    this.#program = new Program(this.#real.fileSystem);
  }

  async run(steps: readonly Step[]): Promise<void> {
    // A directory nobody has looked into is not moved to another syncpoint.
    for (const top of ['P', 'Q', 'R']) await this.#program.readdir(`${top}/folder`);
    for (const next of steps) {
      this.#clockMs += 1;
      await this.#step(next);
    }
    await this.#restart(false);
    await this.#compare('', this.#model.root);
  }

  async stop(): Promise<void> {
    await this.#real.stop();
  }

  async #step(next: Step): Promise<void> {
    switch (next.verb) {
      case 'restart':
        return this.#restart(false);
      case 'kill':
        return this.#restart(true);
      case 'relist':
        // What the service still has of old must not come back.
        for (const node of this.#directories()) await this.#real.listings.refresh(node, new AbortController().signal);
        return undefined;
      case 'open': {
        if (this.#descriptors.length > 5) return undefined;
        const opened = await this.#both(
          () => this.#model.open(next.path, next.flags),
          () => this.#program.open(next.path, next.flags),
          () => true,
        );
        if (opened !== undefined) this.#descriptors.push({ model: opened.model, real: opened.real });
        return undefined;
      }
      case 'rename': {
        const flags = next.how === 'replace' ? {} : { [next.how]: true };
        await this.#both(
          () => this.#model.rename(next.path, next.to, flags),
          () => this.#program.rename(next.path, next.to, flags),
        );
        return undefined;
      }
      case 'truncate':
        await this.#both(
          () => this.#model.truncate(next.path, next.offset),
          async () => {
            await this.#program.setattr(next.path, { sizeBytes: next.offset });
          },
        );
        return undefined;
      case 'stat':
        await this.#both(
          () => this.#model.stat(next.path),
          () => this.#program.stat(next.path),
          (model, real) => this.#sameStat(next.path, model, real),
        );
        return undefined;
      case 'utimes': {
        const seconds = 1_000_000 + (this.#clockMs % 1000);
        await this.#both(
          () => this.#model.utimes(next.path, seconds * 1000),
          async () => {
            await this.#program.setattr(next.path, { modified: { seconds, nanoseconds: 0 } });
          },
        );
        return undefined;
      }
      case 'chmod': {
        const permissions = 0o400 | (this.#clockMs % 0o1000);
        await this.#both(
          () => this.#model.chmod(next.path, permissions),
          async () => {
            await this.#program.setattr(next.path, { permissions });
          },
        );
        return undefined;
      }
      case 'readdir':
        await this.#both(
          () => this.#model.readdir(next.path),
          () => this.#program.readdir(next.path),
          (model, real) => expect(real).toEqual(model),
        );
        return undefined;
      case 'mkdir':
      case 'mknod':
      case 'unlink':
      case 'rmdir': {
        const { verb } = next;
        await this.#both(
          () => this.#model[verb](next.path),
          () => this.#program[verb](next.path),
        );
        return undefined;
      }
      default:
        return this.#descriptorStep(next);
    }
  }

  async #descriptorStep(next: Extract<Step, { readonly descriptor: number }>): Promise<void> {
    const at = next.descriptor % Math.max(1, this.#descriptors.length);
    const pair = this.#descriptors[at];
    if (pair === undefined) return;
    const { model, real } = pair;
    switch (next.verb) {
      case 'pwrite':
        await this.#both(
          () => this.#model.pwrite(model, next.offset, next.data),
          () => this.#program.pwrite(real, next.offset, next.data),
          (expected, got) => expect(got).toBe(expected),
        );
        return;
      case 'pread':
        await this.#both(
          () => this.#model.pread(model, next.offset, 30),
          () => this.#program.pread(real, next.offset, 30),
          (expected, got) => expect(got.toString('latin1')).toBe(expected.toString('latin1')),
        );
        return;
      case 'ftruncate':
        await this.#both(
          () => this.#model.ftruncate(model, next.offset),
          async () => {
            await this.#program.ftruncate(real, next.offset);
          },
        );
        return;
      case 'punch':
        await this.#both(
          () => this.#model.punch(model, next.offset, 7),
          () => this.#program.fallocate(real, 3, next.offset, 7),
        );
        return;
      case 'futimes': {
        if (this.#readOnlyFile(model)) return;
        const seconds = 2_000_000 + (this.#clockMs % 1000);
        await this.#both(
          () => this.#model.futimes(model, seconds * 1000),
          async () => {
            await this.#program.fsetattr(real, { modified: { seconds, nanoseconds: 0 } });
          },
        );
        return;
      }
      case 'fstat':
        await this.#both(
          () => this.#model.fstat(model),
          () => this.#program.fstat(real),
          (expected, got) => this.#sameStat('open', expected, got),
        );
        return;
      case 'fsync':
      case 'closeDuplicate': {
        const { verb } = next;
        await this.#both(
          () => this.#model[verb](model),
          () => this.#program[verb](real),
        );
        return;
      }
      case 'close':
      case 'unmap': {
        const { verb } = next;
        this.#descriptors.splice(at, 1);
        await this.#both(
          () => this.#model[verb](model),
          async () => {
            await this.#program[verb](real);
          },
        );
      }
    }
  }

  /** Whether the file behind a descriptor lies where nothing may be changed. */
  #readOnlyFile(descriptor: number): boolean {
    const file = this.#model.descriptors.get(descriptor)?.file;
    const held = (directory: ModelDirectory): boolean =>
      [...directory.entries.values()].some((node) => node === file || (node.kind === 'directory' && held(node)));
    return held(this.#model.root.entries.get('R') as ModelDirectory);
  }

  async #restart(kill: boolean): Promise<void> {
    if (kill) {
      const state = this.#real.afterKill();
      await this.#real.stop();
      this.#model.crash();
      this.#descriptors.length = 0;
      await this.start(state);
      return;
    }
    for (const { model, real } of this.#descriptors.splice(0)) {
      this.#model.close(model);
      await this.#program.close(real);
    }
    expect(this.#real.fileSystem.counts()).toEqual({ files: 0, directories: 0, nodes: 0 });
    await this.#real.stop(true);
    await this.start(this.#real.state);
  }

  async #both<M, R>(
    model: () => M,
    real: () => Promise<R>,
    same: (model: M, real: R) => unknown = () => true,
  ): Promise<{ readonly model: M; readonly real: R } | undefined> {
    const [expected, got] = [await outcome(model), await outcome(real)];
    if ('value' in expected && 'value' in got) {
      same(expected.value, got.value);
      return { model: expected.value, real: got.value };
    }
    expect(got).toEqual(expected);
    return undefined;
  }

  #sameStat(where: string, model: ModelStat, real: Attributes): void {
    const { node, sizeBytes, linkCount } = model;
    const ms = ({ seconds, nanoseconds }: Attributes['modified']): number => seconds * 1000 + nanoseconds / 1e6;
    expect({
      where,
      type: real.type,
      sizeBytes: real.sizeBytes,
      linkCount: real.linkCount,
      modified: node.modifiedMs === undefined ? undefined : ms(real.modified),
      changed: node.changedMs === undefined ? undefined : ms(real.changed),
    }).toEqual({
      where,
      type: node.kind,
      sizeBytes,
      linkCount,
      modified: node.modifiedMs,
      changed: node.changedMs,
    });
    const inode = this.#inodes.get(node);
    if (inode === undefined) this.#inodes.set(node, real.inode);
    else expect(real.inode).toBe(inode);
  }

  async #compare(at: string, directory: ModelDirectory): Promise<void> {
    expect({ at, names: await this.#program.readdir(at) }).toEqual({ at, names: [...directory.entries.keys()].sort() });
    for (const [entry, node] of directory.entries) {
      const below = `${at}/${entry}`;
      const real = await this.#program.stat(below);
      this.#sameStat(below, this.#model.stat(below), real);
      if (!below.startsWith('/R')) expect({ below, bits: real.permissions }).toEqual({ below, bits: node.permissions });
      if (node.kind === 'directory') await this.#compare(below, node);
      else
        expect({ below, content: await this.#program.readFile(below) }).toEqual({
          below,
          content: node.content.toString(),
        });
    }
    expect(new Set(this.#inodes.values()).size).toBe(this.#inodes.size);
  }

  #directories(): Extract<ReturnType<TestFileSystem['tree']['node']>, { kind: 'directory' }>[] {
    const { tree } = this.#real;
    const found = [tree.root()];
    for (const directory of found) {
      for (const child of tree.children(directory.inode)) if (child.kind === 'directory') found.push(child);
    }
    return found.filter(({ inode }) => tree.listing(inode) !== undefined);
  }

  #store(directory: ModelDirectory, folder: FolderId, file: string, content: string): void {
    this.#drive.addFile(folder, file, content);
    directory.entries.set(file, PosixModel.file(content, REMOTE_MS));
  }
}

async function outcome<T>(work: () => T | Promise<T>): Promise<{ readonly value: T } | { readonly errno: number }> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof FsError) return { errno: error.errno };
    throw error;
  }
}

async function agree(steps: readonly Step[]): Promise<void> {
  const comparison = new Comparison();
  await comparison.start();
  try {
    await comparison.run(steps);
  } finally {
    await comparison.stop();
  }
}

describe('file system', () => {
  it('does what POSIX says, whatever a program does', { timeout: 600_000 }, async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), agree), { numRuns: RUNS });
  });

  it.each([
    ['renamed', { verb: 'rename', path: 'P/a', to: 'P/b', how: 'replace' }],
    ['exchanged', { verb: 'rename', path: 'P/a', to: 'P/stored', how: 'exchange' }],
  ] as const)(
    'keeps through a kill what was written to a new file that was %s before it was closed',
    async (_, rename) => {
      const open = { verb: 'open', path: 'P/a', flags: O_WRONLY | O_CREAT | O_TRUNC } as const;
      const write = { verb: 'pwrite', descriptor: 0, offset: 0, data: 'x' } as const;
      await agree([open, write, rename, { ...write, data: 'yy' }, { verb: 'kill' }]);
    },
  );
});
