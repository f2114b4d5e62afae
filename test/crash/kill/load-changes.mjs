// The changes that a worker of the load makes: those of editors, copying programs, logs and users, chosen by seeded chance.
// Promises: touches only names that begin with the worker's prefix, and what lies below such names.
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setFileTime, setPathTime } from './load-times.mjs';
import { parent } from './load-tree.mjs';

const MIB = 2 ** 20;
/** Several chunks of 5 MiB, and not a whole number of them. */
const LARGE_BYTES = 20 * MIB + 4711;
/** More of them would make the service, not the crash, what takes the time. */
const FILES_MAX = 24;
const DIRECTORIES_MAX = 7;
const SIZES = [0, 1, 300, 4_096, 9_000, 65_536, 150_001];
/** Numbers of names: few, so that names come back after their removal. */
const NAMES = 60;
const NS_PER_S = 1_000_000_000;

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Changes {
  #options;
  #tree;
  /** Each as often as its name is here. */
  #menu = [
    [6, () => this.create(this.#newName())],
    [3, () => this.#withFile((path) => this.#rewrite(path))],
    [3, () => this.#withFile((path) => this.#append(path))],
    [2, () => this.#withFile((path) => this.#truncate(path))],
    [2, () => this.#withFile((path) => this.#patch(path))],
    [2, () => this.#withFile((path) => this.#touch(path))],
    [3, () => this.#withFile((path) => this.#rename(path, this.#newName()))],
    [2, () => this.#withFile((path) => this.#renameOver(path))],
    [1, () => this.#withFile((path) => this.#changeCase(path))],
    [3, () => this.#withFile((path) => this.#editorSave(path))],
    [1, () => this.#withFile((path) => this.#backupSave(path))],
    [1, () => this.#withFile((path) => this.#rotate(path))],
    [1, () => this.#swap()],
    [1, () => this.#syncedLog()],
    [2, () => this.#makeDirectory(this.#newName())],
    [1, () => this.#copyTree()],
    [2, () => this.#withDirectory((path) => this.#moveDirectory(path))],
    [2, () => this.#withFile((path) => this.#unlink(path))],
    [1, () => this.#withDirectory((path) => this.#removeAll(path))],
  ].flatMap(([weight, change]) => Array.from({ length: weight }, () => change));

  constructor(options) {
    this.#options = options;
    this.#tree = options.tree;
  }

  /** One change, or a few that belong together. */
  next() {
    if (this.#tree.files().length > FILES_MAX) this.#unlink(this.#pick(this.#tree.files()));
    else if (this.#tree.directories().length > DIRECTORIES_MAX) this.#removeAll(this.#pick(this.#tree.directories()));
    else this.#pick(this.#menu)();
  }

  /** A file of several chunks, made, replaced or grown. */
  large() {
    const old = this.#tree.files().find((path) => this.#tree.get(path).bytes.length > MIB);
    if (old === undefined) this.create(this.#newName(), LARGE_BYTES);
    else if (this.#options.random() < 0.5) this.#rewrite(old, LARGE_BYTES);
    else this.#patch(old);
  }

  create(path, lengthBytes = this.#pick(SIZES)) {
    this.#write(path, 'wx', this.#bytes(lengthBytes), { own: this.#options.random() < 0.5 });
  }

  #rewrite(path, lengthBytes = this.#pick(SIZES)) {
    this.#write(path, 'w', this.#bytes(lengthBytes), { own: this.#options.random() < 0.3 });
  }

  #append(path) {
    const tail = this.#bytes(this.#pick(SIZES));
    this.#write(path, 'a', tail, { result: Buffer.concat([this.#tree.get(path).bytes, tail]) });
  }

  #patch(path) {
    const { bytes } = this.#tree.get(path);
    const at = Math.floor(this.#options.random() * (bytes.length + 1));
    const patch = this.#bytes(1 + Math.floor(this.#options.random() * 5_000));
    const result = Buffer.alloc(Math.max(bytes.length, at + patch.length));
    bytes.copy(result);
    patch.copy(result, at);
    this.#write(path, 'r+', patch, { at, result });
  }

  #truncate(path) {
    const { bytes } = this.#tree.get(path);
    const chosen = Math.floor(this.#options.random() * (bytes.length * 1.5 + 10));
    // To its own length it is no change: a time set before stays known here alone.
    const lengthBytes = chosen === bytes.length ? chosen + 1 : chosen;
    const result = Buffer.alloc(lengthBytes);
    bytes.copy(result);
    this.#options.step({ kind: 'store', path }, result, () => truncateSync(this.#full(path), lengthBytes));
    this.#options.learn(path);
  }

  #touch(path) {
    const ns = this.#time();
    this.#options.step({ kind: 'touch', path }, undefined, (tell) => {
      tell(ns);
      setPathTime(this.#full(path), ns);
    });
  }

  #rename(path, to) {
    this.#options.step({ kind: 'rename', path, to }, undefined, () => renameSync(this.#full(path), this.#full(to)));
  }

  #renameOver(path) {
    const target = this.#pick(this.#tree.files());
    if (target !== path) this.#rename(path, target);
  }

  #changeCase(path) {
    const [, upTo, letter] = /^(.*)(.)$/s.exec(path);
    const other = letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase();
    if (other !== letter) this.#rename(path, upTo + other);
  }

  /** As editors do that care for their users' text. */
  #editorSave(path) {
    const temporary = this.#newName(parent(path));
    this.create(temporary);
    this.#rename(temporary, path);
  }

  #backupSave(path) {
    const backup = this.#newName(parent(path));
    this.#rename(path, backup);
    this.create(path);
    this.#unlink(backup);
  }

  #rotate(path) {
    const older = this.#newName(parent(path));
    this.#rename(path, older);
    this.create(path);
  }

  #swap() {
    const [a, b] = [this.#pick(this.#tree.files()), this.#pick(this.#tree.files())];
    if (a === undefined || a === b) return;
    const between = this.#newName();
    this.#rename(a, between);
    this.#rename(b, a);
    this.#rename(between, b);
  }

  /** What fsync said is safe is so although the file is still open. */
  #syncedLog() {
    const path = this.#newName();
    const [first, second] = [this.#bytes(5_000), this.#bytes(700)];
    let file;
    try {
      this.#options.step({ kind: 'store', path }, first, () => {
        file = openSync(this.#full(path), 'wx');
        writeSync(file, first);
        fsyncSync(file);
      });
      this.#options.learn(path);
      this.#options.step({ kind: 'store', path }, Buffer.concat([first, second]), (tell) => {
        writeSync(file, second);
        tell(fstatSync(file, { bigint: true }).mtimeNs);
        const closing = file;
        file = undefined;
        closeSync(closing);
      });
    } finally {
      if (file !== undefined) closeAnyhow(file);
    }
  }

  #makeDirectory(path) {
    this.#options.step({ kind: 'mkdir', path }, undefined, () => mkdirSync(this.#full(path)));
  }

  /** As `cp -a` and rsync: directories, files, then the times. */
  #copyTree() {
    const top = this.#newName();
    this.#makeDirectory(top);
    for (const place of [top, undefined]) {
      const directory = place ?? this.#newName(top);
      if (place === undefined) this.#makeDirectory(directory);
      for (let i = 0; i < 2; i++) {
        const path = this.#newName(directory);
        this.create(path);
        this.#touch(path);
      }
    }
  }

  #moveDirectory(path) {
    const places = this.#tree.places().filter((place) => place !== path && !place.startsWith(`${path}/`));
    this.#rename(path, this.#newName(this.#pick(places)));
  }

  #unlink(path) {
    this.#options.step({ kind: 'remove', path }, undefined, () => unlinkSync(this.#full(path)));
  }

  #removeAll(directory) {
    for (const path of this.#tree.below(directory)) {
      if (this.#tree.get(path).kind === 'file') this.#unlink(path);
      else this.#removeDirectory(path);
    }
    this.#removeDirectory(directory);
  }

  #removeDirectory(path) {
    this.#options.step({ kind: 'remove', path }, undefined, () => rmdirSync(this.#full(path)));
  }

  /** Opens, writes, perhaps sets the time as copying programs do, and closes: one change, which close makes. */
  #write(path, flags, bytes, { at = null, result = bytes, own = false }) {
    this.#options.step({ kind: 'store', path }, result, (tell) => {
      const file = openSync(this.#full(path), flags);
      try {
        for (let done = 0; done < bytes.length;)
          done += writeSync(file, bytes, done, bytes.length - done, at === null ? null : at + done);
        const ns = this.#time();
        if (own) setFileTime(file, ns);
        tell(own ? ns : fstatSync(file, { bigint: true }).mtimeNs);
      } catch (error) {
        closeAnyhow(file);
        throw error;
      }
      closeSync(file);
    });
  }

  #withFile(change) {
    const path = this.#pick(this.#tree.files());
    if (path !== undefined) change(path);
  }

  #withDirectory(change) {
    const path = this.#pick(this.#tree.directories());
    if (path !== undefined) change(path);
  }

  #newName(place = this.#pick(this.#tree.places())) {
    while (true) {
      const number = Math.floor(this.#options.random() * NAMES);
      const path = `${place}/${this.#options.prefix}${number}${this.#pick(['.txt', '.Data', ' of today', 'é'])}`;
      if (!this.#tree.has(path)) return path;
    }
  }

  /** A time of some day in the past. */
  #time() {
    const whole = 1_500_000_000 + Math.floor(this.#options.random() * 200_000_000);
    return BigInt(whole) * BigInt(NS_PER_S) + BigInt(Math.floor(this.#options.random() * NS_PER_S));
  }

  #bytes(lengthBytes) {
    const bytes = Buffer.allocUnsafe(lengthBytes);
    let state = Math.floor(this.#options.random() * 2 ** 32);
    const words = lengthBytes >>> 2;
    for (let i = 0; i < words; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      bytes.writeUInt32LE(state, i * 4);
    }
    for (let i = words * 4; i < lengthBytes; i++) bytes[i] = Math.floor(this.#options.random() * 256);
    return bytes;
  }

  #pick(list) {
    return list[Math.floor(this.#options.random() * list.length)];
  }

  #full(path) {
    return join(this.#options.mountpoint, path);
  }
}

/** After an error, which says more than this one's would. */
function closeAnyhow(file) {
  try {
    closeSync(file);
  } catch (error) {
    if (error.code !== 'ENOTCONN' && error.code !== 'ECONNABORTED' && error.code !== 'EIO') throw error;
  }
}
