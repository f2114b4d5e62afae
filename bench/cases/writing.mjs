// What users write, at 30 ms and 400 Mbit/s: until the program returns, and until the server has it. What is stored is counted in the
// servers' own directories.
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { timeShell, watchMemory } from '../programs.mjs';
import { times } from '../report.mjs';

export const name = 'writing';

const MIB = 2 ** 20;

export async function run({ ours, rclone, data, line, signal, workDirectory }) {
  await line.shape({ rttMs: 30, mbit: 400 });
  const source = join(workDirectory, 'written');
  const files = data.quick ? 100 : 1000;
  makeSmall(join(source, 'small'), files);
  const bigBytes = (data.quick ? 16 : 256) * MIB;
  const longBytes = (data.quick ? 64 : 1024) * MIB;

  const mine = await measure(ours, {
    stored: join(data.data, 'out'),
    target: join(ours.root, 'out'),
    mount: () => ours.mount({ cold: true, writable: true }),
    end: () => ours.unmount(),
  });
  let other = {};
  if (rclone !== undefined) {
    const directory = join(workDirectory, 'rclone-written');
    mkdirSync(join(directory, 'out'), { recursive: true });
    let stopServer;
    other = await measure(rclone, {
      stored: join(directory, 'out'),
      target: join(rclone.root, 'out'),
      mount: async () => (stopServer = await rclone.mountWritable(directory)),
      end: async () => {
        await rclone.unmount();
        await stopServer();
      },
    });
  }
  const disk = await diskRate(join(workDirectory, 'disk'), longBytes);
  const row = (what, key, more) => times(what, mine[key], other[key], more);
  const third = (key) => ({ bar: '3 times', pass: other[key] === undefined ? undefined : other[key] > 3 * mine[key] });
  const needed = Math.min(250, disk / 2);
  return [
    row(`rsync -a of ${files} files of 16 KiB`, 'rsync', third('rsync')),
    row('... until stored', 'rsyncStored', {
      ...third('rsyncStored'),
      calls: `${mine.rsyncCalls.gateway}+${mine.rsyncCalls.vault} vault`,
    }),
    {
      what: '... gateway calls',
      ours: mine.rsyncCalls.gateway,
      bar: 'at most 15',
      pass: mine.rsyncCalls.gateway <= 15,
    },
    {
      what: '... vault calls',
      ours: mine.rsyncCalls.vault,
      bar: `at most ${files}`,
      pass: mine.rsyncCalls.vault <= files,
    },
    row('rsync -a again', 'rsyncAgain'),
    row(`write of ${bigBytes / MIB} MiB`, 'big'),
    row('... until stored', 'bigStored'),
    row('50 saves by temporary file, fsync and rename', 'saves'),
    { what: '... uploads', ours: mine.savesCalls.vault, bar: 'at most 3', pass: mine.savesCalls.vault <= 3 },
    row('mkdir -p of 200 folders', 'mkdir'),
    { what: '... calls', ours: mine.mkdirCalls.gateway, bar: 'at most 25', pass: mine.mkdirCalls.gateway <= 25 },
    row(`rename of a stored folder of ${files} files`, 'rename'),
    { what: '... calls', ours: mine.renameCalls.gateway, bar: 'at most 3', pass: mine.renameCalls.gateway <= 3 },
    row(`rm -rf of ${files} stored files in 10 folders`, 'remove'),
    { what: '... calls', ours: mine.removeCalls.gateway, bar: 'at most 16', pass: mine.removeCalls.gateway <= 16 },
    {
      what: `dd bs=1M conv=fsync of ${longBytes / MIB} MiB`,
      ours: mine.longRate,
      other: other.longRate,
      unit: 'MB/s',
      ratio: other.longRate === undefined ? undefined : mine.longRate / other.longRate,
      bar: `${needed.toFixed(0)} MB/s`,
      pass: mine.longRate >= needed,
    },
    {
      what: '... uploaded, of the line',
      ours: mine.longLine,
      other: other.longLine,
      unit: '%',
      bar: '85 %',
      pass: mine.longLine >= 85,
    },
    {
      what: '... memory at most',
      ours: mine.memory,
      other: other.memory,
      unit: 'MiB',
      bar: '250 MiB',
      pass: mine.memory < 250,
    },
  ];

  async function measure(drive, place) {
    const result = {};
    const { target, stored } = place;
    const none = { gateway: 0, vault: 0 };
    const reset = async () => (drive === ours ? drive.resetCalls() : undefined);
    const calls = async () => (drive === ours ? drive.calls() : none);
    // An earlier run's, where the data is kept.
    rmSync(stored, { recursive: true, force: true });
    mkdirSync(stored, { recursive: true });
    await place.mount();
    readdirSync(target);
    const memory = watchMemory(drive.pid());
    const timed = async (key, work, until) => {
      await reset();
      const start = performance.now();
      await work();
      result[key] = performance.now() - start;
      if (until !== undefined) {
        await whenStored(until, `${key} of ${drive.name}`, signal);
        result[`${key}Stored`] = performance.now() - start;
      }
      // With the looks that confirm what was stored.
      if (drive === ours) await drive.flush();
      result[`${key}Calls`] = await calls();
    };
    const count = () => countOf(join(stored, 'small'));
    await timed(
      'rsync',
      () => timeShell(`rsync -a '${join(source, 'small')}' '${target}/'`, signal),
      () => count() === files,
    );
    await timed('rsyncAgain', () => timeShell(`rsync -a '${join(source, 'small')}' '${target}/'`, signal));
    const big = join(target, 'big.bin');
    await timed(
      'big',
      () => writeRandom(big, bigBytes),
      () => sizeOf(join(stored, 'big.bin')) === bigBytes,
    );
    await timed(
      'saves',
      () => {
        for (let turn = 0; turn < 50; turn++)
          save(target, Buffer.concat([randomBytes(20_000), Buffer.from(`${turn}`)]));
      },
      () => sizeOf(join(stored, 'doc.txt')) === 20_002,
    );
    await timed(
      'mkdir',
      () => {
        for (let turn = 0; turn < 200; turn++)
          mkdirSync(join(target, `mk/a${Math.floor(turn / 20)}/b${turn}`), { recursive: true });
      },
      () => statSync(join(stored, 'mk/a9/b199'), { throwIfNoEntry: false }) !== undefined,
    );
    await timed(
      'rename',
      () => renameSync(join(target, 'small'), join(target, 'renamed')),
      () => countOf(join(stored, 'renamed')) === files && sizeOf(join(stored, 'small')) === undefined,
    );
    await timed(
      'remove',
      () => timeShell(`rm -rf '${join(target, 'renamed')}'`, signal),
      () => sizeOf(join(stored, 'renamed')) === undefined,
    );
    const start = performance.now();
    await timeShell(
      `dd if=/dev/zero of='${join(target, 'long.bin')}' bs=1M count=${longBytes / MIB} conv=fsync`,
      signal,
    );
    result.longRate = longBytes / 1e3 / (performance.now() - start);
    await line.take();
    const from = performance.now();
    const sentBefore = sizeOf(join(stored, 'long.bin')) ?? 0;
    await whenStored(
      () => sizeOf(join(stored, 'long.bin')) === longBytes,
      `the long file of ${drive.name}`,
      signal,
      300_000,
    );
    const { bytesUp } = await line.take();
    const sent = sentBefore === longBytes ? 0 : bytesUp;
    result.longLine = sent === 0 ? undefined : (sent * 8 * 100) / (400e3 * (performance.now() - from));
    result.memory = memory.stop() / MIB;
    if (drive === ours) await drive.flush();
    await place.end();
    return result;
  }
}

function makeSmall(directory, files) {
  for (let index = 0; index < files; index++) {
    const folder = join(directory, `s${String(Math.floor((index * 10) / files)).padStart(2, '0')}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${String(index).padStart(5, '0')}.dat`), randomBytes(16_384));
  }
}

async function writeRandom(path, lengthBytes) {
  const descriptor = openSync(path, 'w');
  const block = randomBytes(MIB);
  for (let at = 0; at < lengthBytes; at += MIB) {
    block.writeUInt32LE(at / MIB, 0);
    writeSync(descriptor, block);
  }
  closeSync(descriptor);
}

function save(directory, bytes) {
  const temporary = join(directory, '.doc.txt.tmp');
  const descriptor = openSync(temporary, 'w');
  writeSync(descriptor, bytes);
  fsyncSync(descriptor);
  closeSync(descriptor);
  renameSync(temporary, join(directory, 'doc.txt'));
}

/** What the disk of the state directory takes, MB/s. */
async function diskRate(path, lengthBytes) {
  const start = performance.now();
  await timeShell(`dd if=/dev/zero of='${path}' bs=1M count=${lengthBytes / MIB} conv=fsync`);
  const rate = lengthBytes / 1e3 / (performance.now() - start);
  rmSync(path);
  return rate;
}

/** Files below a directory that the server has whole. */
function countOf(directory) {
  if (sizeOf(directory) === undefined) return 0;
  let count = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && !/\.(partial|tmp)/.test(entry.name)) count += 1;
  }
  return count;
}

function sizeOf(path) {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

async function whenStored(condition, what, signal, limitMs = 180_000) {
  const end = performance.now() + limitMs;
  while (!condition()) {
    signal.throwIfAborted();
    if (performance.now() > end) throw new Error(`${what} is not stored within ${limitMs / 1000} s`);
    await sleep(20);
  }
}
