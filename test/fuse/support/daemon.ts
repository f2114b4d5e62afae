// The child process of a test: mounts MemoryOperations and obeys messages from its parent. Exits when the mount has ended.
import { createKernelTransport, type KernelMountOptions } from '../../../src/fuse/kernel/transport.ts';
import { ROOT_NODE } from '../../../src/fs-ops/operations.ts';
import { MemoryFile, type Content } from './memory-file.ts';
import { MemoryOperations } from './memory-operations.ts';
import { waiting } from './waiting.ts';

export interface DaemonOptions {
  readonly mount: Omit<KernelMountOptions, 'operations'>;
  readonly files?: Readonly<Record<string, string | number>>;
  readonly directories?: Readonly<Record<string, number>>;
  readonly lifetimeMs?: number;
  readonly cacheDirectories?: boolean;
  readonly hanging?: readonly string[];
  readonly hangingName?: string;
  readonly hangingCreate?: string;
  readonly lateCreate?: string;
  /** Refuses writing although the mount may be read-write. */
  readonly readOnly?: boolean;
  readonly keepCache?: boolean;
  /** Verbs answer some milliseconds later, or with an abort. */
  readonly waits?: boolean;
}

export type Order =
  | { readonly kind: 'statistics' }
  | { readonly kind: 'set'; readonly name: string; readonly content: string | number; readonly tell: boolean }
  | { readonly kind: 'remove'; readonly name: string; readonly tell: boolean }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly tell: boolean }
  | { readonly kind: 'replace-children'; readonly directory: string; readonly remove: string; readonly add: string }
  | { readonly kind: 'tell-names'; readonly count: number }
  | { readonly kind: 'unmount'; readonly lazy: boolean };

const operations = new MemoryOperations();
const transport = createKernelTransport();

function contentOf(value: string | number): Content {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

function send(message: object): void {
  if (process.connected) process.send?.(message);
}

function failure(error: unknown): { message: string; errno: unknown } {
  const { message, errno } = error as Error & { errno?: unknown };
  return { message, errno };
}

async function start(options: DaemonOptions): Promise<void> {
  if (options.lifetimeMs !== undefined) operations.lifetimeMs = options.lifetimeMs;
  if (options.cacheDirectories !== undefined) operations.cacheDirectories = options.cacheDirectories;
  if (options.keepCache !== undefined) operations.keepCache = options.keepCache;
  operations.readOnly = options.readOnly === true;
  operations.hangingName = options.hangingName ?? '';
  operations.hangingCreate = options.hangingCreate ?? '';
  operations.lateCreate = options.lateCreate ?? '';
  for (const [name, content] of Object.entries(options.files ?? {}))
    operations.add(ROOT_NODE, name, contentOf(content));
  for (const [name, count] of Object.entries(options.directories ?? {})) {
    const directory = operations.add(ROOT_NODE, name, 'directory');
    for (let index = 0; index < count; index++) {
      operations.add(directory, `file-${String(index).padStart(6, '0')}.txt`, index);
    }
  }
  for (const name of options.hanging ?? []) operations.hanging.add(operations.find(name) ?? 0);
  const orders = new Set<Promise<void>>();
  const served = options.waits === true ? waiting(operations) : operations;
  const mount = await transport.mount({ ...options.mount, operations: served });
  process.on('message', (order: Order & { id: number }) => {
    const obeyed = Promise.resolve(obey(order))
      .then((value) => send({ id: order.id, value }))
      .catch((error: unknown) => send({ id: order.id, error: failure(error) }))
      .finally(() => orders.delete(obeyed));
    orders.add(obeyed);
  });
  async function obey(order: Order): Promise<unknown> {
    switch (order.kind) {
      case 'statistics':
        return {
          ...mount.statistics(),
          lookups: [...operations.lookups.values()].reduce((sum, count) => sum + count, 0),
          handles: operations.handles.size,
          aborted: operations.aborted,
          writes: operations.writes,
          killingWrites: operations.killingWrites,
          cpu: process.cpuUsage(),
          rss: process.memoryUsage.rss(),
        };
      case 'set': {
        const node = operations.find(order.name);
        if (node === undefined) operations.add(ROOT_NODE, order.name, contentOf(order.content));
        else {
          const thing = operations.thing(node);
          thing.content = new MemoryFile(contentOf(order.content));
          thing.modified = { ...thing.modified, seconds: thing.modified.seconds + 1 };
        }
        if (!order.tell) return undefined;
        if (node === undefined) transport.cache.invalidateEntry(ROOT_NODE, order.name);
        else transport.cache.invalidateNode(node, { content: true });
        return told();
      }
      case 'remove':
        operations.remove(ROOT_NODE, order.name);
        if (!order.tell) return undefined;
        transport.cache.invalidateEntry(ROOT_NODE, order.name);
        return told();
      case 'rename': {
        const { children } = operations.thing(ROOT_NODE);
        const child = children.get(order.from);
        if (child !== undefined) {
          children.delete(order.from);
          children.set(order.to, child);
        }
        if (!order.tell) return undefined;
        transport.cache.invalidateEntry(ROOT_NODE, order.from);
        transport.cache.invalidateEntry(ROOT_NODE, order.to);
        return told();
      }
      case 'replace-children': {
        const directory = operations.find(order.directory) ?? 0;
        operations.remove(directory, order.remove);
        return operations.add(directory, order.add, 1);
      }
      case 'tell-names':
        for (let index = 0; index < order.count; index++) transport.cache.invalidateEntry(ROOT_NODE, `name-${index}`);
        return told();
      case 'unmount':
        return mount.unmount({ lazy: order.lazy });
    }
  }
  async function told(): Promise<void> {
    while (mount.statistics().notifications.waiting > 0) await new Promise((resolve) => setImmediate(resolve));
    // The last one may still be under way in its thread: it is over when a further one is.
    transport.cache.invalidateNode(2 ** 40, { content: false });
    const { unknown } = mount.statistics().notifications;
    while (mount.statistics().notifications.unknown === unknown) await new Promise((resolve) => setImmediate(resolve));
  }
  send({ mounted: mount.mountpoint });
  const end = await mount.finished;
  send({ finished: { reason: end.reason, lookups: operations.lookups.size, handles: operations.handles.size } });
  await Promise.all(orders);
  process.disconnect();
}

process.once('message', (options: DaemonOptions) => {
  start(options).catch((error: unknown) => {
    send({ failed: failure(error) });
    process.disconnect();
  });
});
