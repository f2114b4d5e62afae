// One transfer by itself: what it asks the service for when its turn has come.
import { expect, test } from 'vitest';
import { Block, blockSizeBytes } from '../../../src/cache/blocks/block.ts';
import { Transfer, type TransferHost } from '../../../src/cache/blocks/transfer.ts';
import { type SlotRequest, TransferSlots } from '../../../src/cache/blocks/transfer-slots.ts';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';

const content = contentReference('one', 4 * blockSizeBytes);
const times = {
  retryDelayMs: 1,
  retryDelayMsMax: 4,
  openMs: 1000,
  roomMs: 100,
  stallMs: 1000,
  silenceMs: 500,
  idleMs: 10,
};

/** A host of nothing but the given blocks, the turns of whose transfers all others have until they are released. */
function busyHost(blocks: readonly Block[]): { host: TransferHost; drive: FakeContentDrive; release: () => void } {
  const drive = new FakeContentDrive();
  const slots = new TransferSlots();
  const others: SlotRequest[] = Array.from({ length: 8 }, () => ({
    owner: content,
    urgent: () => false,
    signal: new AbortController().signal,
  }));
  for (const other of others) slots.take(other);
  const nothing = (): undefined => undefined;
  const host: TransferHost = {
    ...{ content, drive, slots, times },
    blockFor: (index) => blocks.find((block) => block.index === index && !block.complete),
    allocate: (block) => (block.buffer = Buffer.alloc(block.lengthBytes)),
    ...{ troubled: nothing, arrived: nothing, grew: nothing, roomToBegin: nothing, room: nothing, opened: nothing },
    ...{ paused: nothing, silent: nothing, outran: nothing, ended: nothing },
  };
  return { host, drive, release: () => others.forEach((other) => slots.release(other)) };
}

/** What another stream brings of a block in passing by. */
function bring(block: Block, lengthBytes: number): void {
  block.buffer ??= Buffer.alloc(block.lengthBytes);
  bytesOf(content, block.startBytes, block.startBytes + lengthBytes).copy(block.buffer);
  block.filledBytes = lengthBytes;
}

test('nothing is asked for that another stream brought while it waited for its turn', async () => {
  const block = new Block(1, 1, blockSizeBytes);
  const { host, drive, release } = busyHost([block]);
  const transfer = new Transfer(host, {}, [block]);
  bring(block, blockSizeBytes);
  transfer.assigned.delete(block);
  release();
  await transfer.done;
  expect(transfer.state).toBe('ended');
  expect(drive.calls).toEqual([]);
});

test('it begins where what another stream brought meanwhile ends', async () => {
  const block = new Block(1, 1, blockSizeBytes);
  const { host, drive, release } = busyHost([block]);
  const transfer = new Transfer(host, {}, [block]);
  bring(block, 1_000);
  release();
  await transfer.done;
  expect(drive.calls).toMatchObject([{ offsetBytes: blockSizeBytes + 1_000, lengthBytes: blockSizeBytes - 1_000 }]);
  expect(block.buffer?.equals(bytesOf(content, blockSizeBytes, 2 * blockSizeBytes))).toBe(true);
});
