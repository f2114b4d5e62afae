// The conversation with a descriptor, held with a pair of sockets that keep messages apart as /dev/fuse does. What the kernel
// itself does at unmount is in mounting.test.ts.
import { closeSync, fstatSync, readSync, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import koffi from 'koffi';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deferred } from '../../src/base/deferred.ts';
import { Device } from '../../src/fuse/kernel/device.ts';
import type { MountEnd } from '../../src/fuse/transport.ts';
import type { Message } from '../../src/fuse/kernel/protocol/message.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const socketpair = koffi.load(null).func('int socketpair(int domain, int type, int protocol, _Out_ int *pair)');

let kernel: number;
let fd: number;
let device: Device;
let ended: Promise<MountEnd>;
let kernelClosed: boolean;
let onMessage: (text: string) => void;

beforeEach(() => {
  const pair = [0, 0];
  expect(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)).toBe(0);
  [kernel, fd] = pair as [number, number];
  kernelClosed = false;
  device = new Device(fd);
  const end = deferred<MountEnd>();
  ended = end.promise;
  device.start(
    (message: Message, lengthBytes) => onMessage(message.bytes.toString('latin1', 0, lengthBytes)),
    end.resolve,
  );
});

afterEach(async () => {
  breakOff();
  await ended;
});

/** A socket closed over what it has not read makes the other side's next read fail. */
function breakOff(): void {
  if (kernelClosed) return;
  kernelClosed = true;
  device.send([Buffer.from('unread')]);
  closeSync(kernel);
}

/** Collects messages; resolves when there are as many. */
function received(count: number): Promise<string[]> {
  const messages: string[] = [];
  const all = deferred<string[]>();
  onMessage = (text) => {
    messages.push(text);
    if (messages.length === count) all.resolve(messages);
  };
  return all.promise;
}

function occupy(forMs: number): void {
  const until = performance.now() + forMs;
  while (performance.now() < until);
}

test('hands over what waits and what comes while it looks, in order', async () => {
  const sent = Array.from({ length: 100 }, (_, index) => `message ${index}`);
  const all = received(sent.length);
  for (const text of sent.slice(0, 50)) writeSync(kernel, text);
  for (const text of sent.slice(50)) {
    await nextTurn();
    writeSync(kernel, text);
  }
  expect(await all).toEqual(sent);
});

test('is woken by what comes long after the last', async () => {
  const first = received(1);
  writeSync(kernel, 'first');
  await first;
  await wait(20);
  const second = received(1);
  writeSync(kernel, 'second');
  expect(await second).toEqual(['second']);
});

test('waits without work for the event loop while nothing comes', async () => {
  const first = received(1);
  writeSync(kernel, 'first');
  await first;
  await wait(20);
  const before = performance.eventLoopUtilization();
  await wait(100);
  expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.5);
});

test('lets others have the event loop while messages flood in', async () => {
  const messages = 20;
  let served = 0;
  let servedAtTurn = 0;
  const all = deferred<undefined>();
  onMessage = () => {
    if (served++ === 0) setImmediate(() => (servedAtTurn = served));
    occupy(1);
    if (served === messages) all.resolve(undefined);
  };
  for (let index = 0; index < messages; index++) writeSync(kernel, 'x');
  await all.promise;
  expect(servedAtTurn).toBeGreaterThan(0);
  expect(servedAtTurn).toBeLessThan(messages / 2);
});

test('writes a reply as one message', () => {
  expect(device.send([Buffer.from('he'), Buffer.from('ader'), Buffer.from(' body')])).toBe('sent');
  const reply = Buffer.alloc(100);
  expect(reply.toString('latin1', 0, readSync(kernel, reply))).toBe('header body');
});

test('tells the end once and closes the descriptor', async () => {
  breakOff();
  const end = await ended;
  expect(end.reason).toBe('device-error');
  expect((end.error as NodeJS.ErrnoException).code).toBe('ECONNRESET');
  expect(() => fstatSync(fd)).toThrow('EBADF');
});
