// The thread of hashing-thread.ts: takes what lies in the shared slots, one after the other. Plain JavaScript, because Node loads it by
// itself, in the build and in tests alike.
// @ts-check
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

/**
 * @typedef {object} Shared
 * @property {Int32Array} control counts and flags, at `at`
 * @property {Int32Array} orders of each slot: what to do, for which hash, with how many bytes
 * @property {Uint8Array} bytes of all slots
 * @property {number} slotBytes
 * @property {{ put: number, taken: number, wanted: number }} at
 * @property {{ update: number, digest: number, close: number }} order
 */
const shared = /** @type {Shared} */ (workerData);
const { control, orders, bytes, slotBytes, at, order } = shared;
const slots = orders.length / 3;
/** @type {Map<number, import('node:crypto').Hash>} */
const hashes = new Map();

for (let taken = 0; ;) {
  Atomics.wait(control, at.put, taken);
  for (; taken !== Atomics.load(control, at.put); taken = (taken + 1) | 0) {
    serve(taken & (slots - 1));
    Atomics.store(control, at.taken, (taken + 1) | 0);
    Atomics.notify(control, at.taken);
    if (Atomics.exchange(control, at.wanted, 0) === 1) parentPort?.postMessage('room');
  }
}

/** @param {number} slot */
function serve(slot) {
  const [what, id = 0, length = 0] = orders.subarray(slot * 3, slot * 3 + 3);
  const content = bytes.subarray(slot * slotBytes, slot * slotBytes + length);
  if (what === order.close) {
    hashes.delete(id);
    return;
  }
  const hash = hashes.get(id) ?? createHash('sha256');
  hashes.set(id, hash);
  // What comes later is hashed on.
  if (what === order.digest) bytes.set(hash.copy().digest(), slot * slotBytes);
  else hash.update(content);
}
