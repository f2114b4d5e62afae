// What the kernel is told to drop: one message at a time, each thing once, and a limit that drops more rather than less.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Notifier, type NotifierAbilities } from '../../src/fuse/kernel/notifier.ts';

const present: NotifierAbilities = { expireOnly: true, epoch: true };

function start(
  abilities = present,
  carriesMounts = (): boolean => false,
): {
  notifier: Notifier;
  written: Buffer[];
  finishOne: (code?: string) => void;
  drain: () => Promise<void>;
} {
  const notifier = new Notifier();
  const written: Buffer[] = [];
  let outstanding: ((error: NodeJS.ErrnoException | null) => void) | undefined;
  const channel = {
    notify(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | null) => void): void {
      expect(outstanding, 'one notification outstanding').toBeUndefined();
      written.push(Buffer.from(bytes));
      outstanding = done;
    },
  };
  notifier.start(channel, abilities, carriesMounts);
  const finishOne = (code?: string): void => {
    const done = outstanding;
    outstanding = undefined;
    done?.(code === undefined ? null : Object.assign(new Error(code), { code }));
  };
  return {
    notifier,
    written,
    finishOne,
    async drain() {
      await new Promise((resolve) => setImmediate(resolve));
      while (outstanding !== undefined) finishOne();
    },
  };
}

/** "entry 1 a expire", "inode 1 content", "epoch" */
function describeMessage(bytes: Buffer): string {
  const [code, node] = [bytes.readInt32LE(4), bytes.length > 16 ? Number(bytes.readBigUInt64LE(16)) : 0];
  if (code === 3)
    return `entry ${node} ${bytes.toString('utf8', 32, bytes.length - 1)}${bytes[28] === 1 ? ' expire' : ''}`;
  if (code === 2) return `inode ${node}${bytes.readBigInt64LE(24) === 0n ? ' content' : ''}`;
  return 'epoch';
}

describe('notifications', () => {
  it('are never written within the call that asks for them, and names go before nodes', async () => {
    const { notifier, written, drain } = start();
    notifier.invalidateNode(9, { content: false });
    notifier.invalidateEntry(1, 'a');
    notifier.invalidateEntry(1, 'b');
    expect(written).toEqual([]);
    await drain();
    expect(written.map(describeMessage)).toEqual([
      'entry 1 a expire',
      'entry 1 b expire',
      'inode 9',
      'inode 1 content',
    ]);
  });

  it('tell each thing once while it waits, and the wider of two', async () => {
    const calls = fc.array(
      fc.record({
        node: fc.integer({ min: 1, max: 4 }),
        name: fc.constantFrom(undefined, 'a', 'b'),
        content: fc.boolean(),
      }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(calls, async (list) => {
        const { notifier, written, drain } = start();
        const expected = new Set<string>();
        const nodes = new Map<number, boolean>();
        for (const { node, name, content } of list) {
          if (name === undefined) notifier.invalidateNode(node, { content });
          else {
            notifier.invalidateEntry(node, name);
            expected.add(`entry ${node} ${name} expire`);
          }
          nodes.set(node, content || name !== undefined || nodes.get(node) === true);
        }
        for (const [node, content] of nodes) expected.add(`inode ${node}${content ? ' content' : ''}`);
        await drain();
        expect(written.map(describeMessage).sort()).toEqual([...expected].sort());
        expect(notifier.statistics()).toMatchObject({ sent: expected.size, waiting: 0 });
      }),
    );
  });

  it('expire all names at once when too many wait, where the kernel can', async () => {
    const { notifier, written, drain } = start();
    for (let index = 0; index < 70_000; index++) notifier.invalidateEntry(1, `n${index}`);
    await drain();
    expect(written.map(describeMessage)).toEqual(['epoch', 'inode 1 content']);
    expect(notifier.statistics().overflows).toBe(1);
  });

  it('never expire all names while something is mounted in here, which that would take away', async () => {
    let mounts = true;
    const { notifier, written, drain } = start(present, () => mounts);
    expect(notifier.expireNames()).toBe(false);
    expect(notifier.canExpireNames()).toBe(false);
    for (let index = 0; index < 70_000; index++) notifier.invalidateEntry(1, `n${index}`);
    await drain();
    expect(written.map(describeMessage)).not.toContain('epoch');
    mounts = false;
    expect(notifier.expireNames()).toBe(true);
    expect(notifier.canExpireNames()).toBe(true);
    await drain();
    expect(written.map(describeMessage).at(-1)).toBe('epoch');
  });

  it('keep a limit where the kernel cannot', async () => {
    const { notifier, written, drain } = start({ expireOnly: false, epoch: false });
    for (let index = 0; index < 70_000; index++) notifier.invalidateEntry(1, `n${index}`);
    await drain();
    expect(written.length).toBe(65_536 + 1);
    expect(describeMessage(written[0] as Buffer)).toBe('entry 1 n0');
  });

  it('count what the kernel did not know, and stop with the mount', async () => {
    const { notifier, written, finishOne } = start();
    notifier.invalidateEntry(1, 'a');
    notifier.invalidateEntry(1, 'b');
    await new Promise((resolve) => setImmediate(resolve));
    finishOne('ENOENT');
    finishOne('ENODEV');
    expect(written.length).toBe(2);
    expect(notifier.statistics()).toMatchObject({ unknown: 1, waiting: 0, failed: 0 });
    notifier.invalidateEntry(1, 'c');
    expect(notifier.statistics().waiting).toBe(0);
  });

  it('are dropped before there is a mount', () => {
    const notifier = new Notifier();
    notifier.invalidateEntry(1, 'a');
    notifier.invalidateNode(1, { content: true });
    expect(notifier.statistics().waiting).toBe(0);
  });
});
