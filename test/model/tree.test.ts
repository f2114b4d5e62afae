// Random programs over a whole tree, through the kernel: after each step the mount shows what a model in memory says, and after each
// flush the service holds it; through remounts, kills, restarts of the service and changes that others make there.
// MODEL_RUNS and MODEL_SEED choose how many and which.
import { appendFile, mkdir, readdir, readFile, rename, rm, rmdir, truncate, unlink, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Desk } from '../apps/desk.ts';
import { fuseExists } from '../mount/drive.ts';
import { TreeModel } from './tree-model.ts';

/** A run takes some ten seconds. */
const RUNS = Number(process.env['MODEL_RUNS'] ?? 3);
/** The same programs each time, unless others are asked for: `MODEL_SEED=$RANDOM`. */
const SEED = Number(process.env['MODEL_SEED'] ?? 20_241);
const RUN_LIMIT_MS = 120_000;
/** A listing is trusted for a second here; then it is brought anew. */
const REMOTE_CHANGE_SEEN_MS = 20_000;

const name = fc.constantFrom('a', 'b', 'c', 'ü.txt');
/** Below one of the two roots, at most three deep. */
const path = fc
  .tuple(fc.constantFrom('P', 'P', 'P', 'A'), fc.array(name, { minLength: 1, maxLength: 3 }))
  .map(([root, names]) => [root, ...names].join('/'));
const text = fc.constantFrom('', 'x', 'hello', 'some longer text', 'long '.repeat(8));

type Step =
  | { readonly verb: 'write' | 'append'; readonly path: string; readonly text: string }
  | { readonly verb: 'truncate'; readonly path: string; readonly length: number }
  | { readonly verb: 'mkdir' | 'unlink' | 'rmdir' | 'rm'; readonly path: string }
  | { readonly verb: 'rename' | 'save'; readonly path: string; readonly to: string }
  | { readonly verb: 'remote write' | 'remote add'; readonly choice: number; readonly text: string }
  | { readonly verb: 'flush' | 'remount' | 'leave' | 'kill' | 'restart service' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ verb: fc.constantFrom('write' as const, 'append' as const), path, text }) },
  { weight: 2, arbitrary: fc.record({ verb: fc.constant('truncate' as const), path, length: fc.nat(20) }) },
  { weight: 6, arbitrary: fc.record({ verb: fc.constant('mkdir' as const), path }) },
  {
    weight: 4,
    arbitrary: fc.record({ verb: fc.constantFrom('unlink' as const, 'rmdir' as const, 'rm' as const), path }),
  },
  { weight: 8, arbitrary: fc.record({ verb: fc.constantFrom('rename' as const, 'save' as const), path, to: path }) },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constantFrom('remote write' as const, 'remote add' as const),
      choice: fc.nat(50),
      text,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constantFrom(
        'flush' as const,
        'remount' as const,
        'leave' as const,
        'kill' as const,
        'restart service' as const,
      ),
    }),
  },
);

let desk: Desk;
let run = 0;

beforeEach(async () => {
  desk = await Desk.set({ mount: ['--settle', '200ms', '--poll-interval', '1s', '--calls-per-second', '0'] });
});
afterEach(async () => {
  await desk.clear();
});

/** Where this run's tree lies: each run has a directory of its own in both syncpoints. */
function place(modelPath: string): string {
  const [root, ...names] = modelPath.split('/');
  return [root === 'P' ? 'Projects' : 'Archive', `run${run}`, ...names].join('/');
}

function succeeds(change: Promise<unknown>): Promise<boolean> {
  return change.then(
    () => true,
    () => false,
  );
}

async function shown(): Promise<string[]> {
  const lines: string[] = [];
  const walk = async (modelPath: string): Promise<void> => {
    lines.push(`${modelPath}/`);
    for (const entry of await readdir(desk.at(place(modelPath)), { withFileTypes: true })) {
      const inside = `${modelPath}/${entry.name}`;
      if (entry.isDirectory()) await walk(inside);
      else lines.push(`${inside}: ${await readFile(desk.at(place(inside)), 'utf8')}`);
    }
  };
  await walk('P');
  await walk('A');
  return lines.sort();
}

async function expectServiceHolds(model: TreeModel): Promise<void> {
  await desk.flush();
  const files = model.paths('file').map((each) => {
    const node = model.node(each);
    const content = node?.kind === 'file' ? node.text : '';
    return `${place(each)}: ${Buffer.byteLength(content)} ${createHash('sha256').update(content).digest('hex')}`;
  });
  const directories = model.paths('directory').map((each) => `${place(each)}: folder`);
  const roots = [place('P'), place('A')];
  const held = await desk.heldByService();
  expect(
    held.filter((line) => roots.some((root) => line.startsWith(`${root}/`) || line === `${root}: folder`)),
  ).toEqual([...files, ...directories].sort());
}

/** Someone else changes what is stored: a file's content, or a new file in some folder. Returns what was changed. */
async function changeRemotely(
  model: TreeModel,
  { verb, choice, text: content }: Step & { choice: number; text: string },
): Promise<void> {
  await desk.flush();
  const { store } = desk.drive;
  const syncpoints = (await desk.drive.emulator.snapshot()).syncpoints;
  const paths = model.paths(verb === 'remote write' ? 'file' : 'directory');
  const chosen = paths[choice % Math.max(paths.length, 1)];
  if (chosen === undefined) return;
  const [syncpointName, ...names] = place(chosen).split('/');
  const syncpoint = syncpoints.find((each) => each.name === syncpointName);
  const entry = syncpoint?.entries.find((each) => each.path === names.join('/'));
  if (syncpoint === undefined || entry === undefined) throw new Error(`${chosen} is not at the service`);
  if (entry.kind === 'file') {
    store.writeFile(syncpoint.id, entry.id, Buffer.from(content));
    model.write(chosen, content);
  } else {
    const added = `theirs${choice}`;
    if (model.node(`${chosen}/${added}`) !== undefined) return;
    store.addFile(syncpoint.id, entry.id, added, Buffer.from(content));
    model.write(`${chosen}/${added}`, content);
  }
}

async function take(model: TreeModel, each: Step): Promise<void> {
  const at = 'path' in each ? desk.at(place(each.path)) : '';
  switch (each.verb) {
    case 'write':
      expect(await succeeds(writeFile(at, each.text))).toBe(model.write(each.path, each.text));
      return;
    case 'append':
      expect(await succeeds(appendFile(at, each.text))).toBe(model.append(each.path, each.text));
      return;
    case 'truncate':
      expect(await succeeds(truncate(at, each.length))).toBe(model.truncate(each.path, each.length));
      return;
    case 'mkdir':
      expect(await succeeds(mkdir(at))).toBe(model.makeDirectory(each.path));
      return;
    case 'unlink':
      expect(await succeeds(unlink(at))).toBe(model.unlink(each.path));
      return;
    case 'rmdir':
      expect(await succeeds(rmdir(at))).toBe(model.removeDirectory(each.path));
      return;
    case 'rm':
      expect(await succeeds(rm(at, { recursive: true }))).toBe(model.removeAll(each.path));
      return;
    case 'rename':
      expect(await succeeds(rename(at, desk.at(place(each.to))))).toBe(model.rename(each.path, each.to));
      return;
    case 'save': {
      // As editors do: the new text under another name in the same directory, renamed over the old.
      const temporary = `${each.to}.new`;
      const written = await succeeds(writeFile(desk.at(place(temporary)), 'saved'));
      expect(written).toBe(model.write(temporary, 'saved'));
      if (!written) return;
      const renamed = await succeeds(rename(desk.at(place(temporary)), desk.at(place(each.to))));
      expect(renamed).toBe(model.rename(temporary, each.to));
      return;
    }
    case 'remote write':
    case 'remote add':
      await changeRemotely(model, each);
      return;
    case 'flush':
      await expectServiceHolds(model);
      return;
    case 'remount':
      await desk.remount();
      return;
    case 'leave':
      await desk.remount('unsent');
      return;
    case 'kill':
      process.kill(await desk.drive.pid(), 'SIGKILL');
      await desk.mount();
      return;
    case 'restart service':
      await desk.drive.interruptService(() => Promise.resolve());
  }
}

describe.skipIf(!fuseExists)('a tree', () => {
  it(`is what the model says, ${RUNS} runs, seed ${SEED}`, { timeout: RUNS * RUN_LIMIT_MS }, async () => {
    const steps = fc.array(step, { minLength: 40, maxLength: 80, size: 'max' });
    const property = fc.asyncProperty(steps, async (program) => {
      run += 1;
      const model = new TreeModel(['P', 'A']);
      await mkdir(desk.at(place('P')));
      await mkdir(desk.at(place('A')));
      for (const each of program) {
        await take(model, each);
        if (each.verb.startsWith('remote'))
          await expect.poll(shown, { timeout: REMOTE_CHANGE_SEEN_MS }).toEqual(model.lines());
        else expect(await shown()).toEqual(model.lines());
      }
      await expectServiceHolds(model);
      expect(await shown()).toEqual(model.lines());
    });
    await fc.assert(property, { numRuns: RUNS, seed: SEED, endOnFailure: true });
  });
});
