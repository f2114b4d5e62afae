// One worker of the load, a process of its own with plain calls: `load.mjs MOUNTPOINT LOG WORKER SEED`. Told to `go`, it changes what is its
// own below the mountpoint until the mount dies under it. Each change is in the log before it is made, and again when its call has returned.
// Told what became of the change that was under way, it goes on; told to `look`, it compares all that it has with what the mount shows.
import { closeSync, lstatSync, openSync, readFileSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoadTree, sha256 } from './load-tree.mjs';
import { Changes, randomNumbers } from './load-changes.mjs';

/** What a call gets from a mount whose daemon is dead; EIO: a read or a directory's end. */
const DEAD = new Set(['ENOTCONN', 'ECONNABORTED', 'EIO']);
const PAUSES_MS = [0, 0, 0, 2, 5, 10, 20, 60];
const QUIET_LOOK_MS = 10;
const TICK_NS = 100n;

const [mountpoint, logFile, worker, seed] = process.argv.slice(2);
const prefix = `w${worker}-`;
const log = openSync(logFile, 'a');
const tree = new LoadTree(['Work', 'Work/pool0', 'Work/pool1']);
const random = randomNumbers(Number(seed) * 31 + Number(worker));
/** The change that was logged and has not returned. */
let underWay;
let count = 0;
/** Told that the mount is dead: no need to be quiet any longer. */
let hurried = false;

const note = (line) => writeSync(log, `${JSON.stringify(line)}\n`);
const changes = new Changes({ mountpoint, prefix, tree, random, step, learn });

/** Makes one change that happens as a whole or not at all; `act` may tell the time that its file gets. */
function step(record, bytes, act) {
  count += 1;
  const described = bytes === undefined ? record : { ...record, bytes: bytes.length, sha256: sha256(bytes) };
  note({ start: count, ...described });
  underWay = { record: { ...record }, bytes };
  act((mtime) => {
    underWay.record.mtime = mtime;
    note({ mtime: String(mtime) });
  });
  note({ done: count });
  tree.apply(underWay.record, bytes);
  underWay = undefined;
}

/** The time that a change gave its file became known after the change. */
function learn(path) {
  const { mtimeNs } = lstatSync(join(mountpoint, path), { bigint: true });
  tree.apply({ kind: 'touch', path, mtime: mtimeNs });
  note({ learned: path, mtime: String(mtimeNs) });
}

/** All workers are busy and quiet at the same times: while programs write, uploads give way. */
async function go({ large, busyMs, quietMs }) {
  const beganMs = Date.now();
  hurried = false;
  try {
    if (large) changes.large();
    while (true) {
      changes.next();
      await sleep(PAUSES_MS[Math.floor(random() * PAUSES_MS.length)]);
      while (!hurried && (Date.now() - beganMs) % (busyMs + quietMs) > busyMs) await sleep(QUIET_LOOK_MS);
    }
  } catch (error) {
    note({ stopped: error.code, message: error.message });
    const made = JSON.stringify(underWay?.record.kind);
    process.send({ type: DEAD.has(error.code) ? 'stopped' : 'broken', message: `${error.stack} (${made})` });
  }
}

/** The change under way when the mount died did happen, or did not. */
function settle(happened) {
  note({ settled: happened });
  const { kind, path } = underWay.record;
  if (happened) tree.apply(underWay.record, underWay.bytes);
  // Opening an empty file to truncate it has a result of its own, its time.
  else if (kind === 'store' && tree.get(path)?.bytes.length === 0)
    tree.apply({ kind: 'touch', path, mtime: undefined });
  underWay = undefined;
}

/** Every difference between what this worker has and what the mount shows of it. */
function look() {
  const differences = [];
  const seen = new Set();
  for (const place of tree.shared)
    for (const name of readdirSync(join(mountpoint, place))) if (name.startsWith(prefix)) visit(`${place}/${name}`);
  for (const [path] of tree.entries()) if (!seen.has(path)) differences.push(`${path}: missing on the mount`);
  return differences;

  function visit(path) {
    seen.add(path);
    const entry = tree.get(path);
    const stats = lstatSync(join(mountpoint, path), { bigint: true });
    if (entry === undefined) differences.push(`${path}: on the mount, though it was not made or was removed`);
    else if (stats.isDirectory() !== (entry.kind === 'directory'))
      differences.push(`${path}: of another kind on the mount`);
    if (stats.isDirectory()) for (const name of readdirSync(join(mountpoint, path))) visit(`${path}/${name}`);
    if (entry?.kind !== 'file' || stats.isDirectory()) return;
    if (!readFileSync(join(mountpoint, path)).equals(entry.bytes))
      differences.push(`${path}: other bytes on the mount`);
    if (entry.mtime !== undefined && stats.mtimeNs / TICK_NS !== entry.mtime / TICK_NS)
      differences.push(`${path}: modified ${stats.mtimeNs} on the mount, not ${entry.mtime}`);
    // Known from here on.
    tree.apply({ kind: 'touch', path, mtime: stats.mtimeNs });
  }
}

process.on('message', (message) => {
  const { type } = message;
  if (type === 'go') void go(message);
  else if (type === 'hurry') hurried = true;
  else if (type === 'settle') {
    if (underWay !== undefined) settle(message.happened);
    process.send({ type: 'settled' });
  } else
    try {
      process.send({ type: 'looked', differences: look() });
    } catch (error) {
      process.send({ type: 'broken', message: `look: ${error.message}` });
    }
});
process.on('disconnect', () => closeSync(log));
process.send({ type: 'ready' });
