// Both sides change one small tree, with faults in between: nothing is lost or doubled, all comes to rest, and both have the same then.
// BOTH_SIDES_RUNS and BOTH_SIDES_SEED choose how many and which, BOTH_SIDES_STEPS how long each may be.
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { CALL_KINDS, type Dialect } from './support/shared-drive.ts';
import type { Step } from './support/shared-steps.ts';
import { SharedTree } from './support/shared-tree.ts';

const RUNS = Number(process.env['BOTH_SIDES_RUNS'] ?? 100);
const SEED = Number(process.env['BOTH_SIDES_SEED'] ?? 20_261);
const STEPS_MAX = Number(process.env['BOTH_SIDES_STEPS'] ?? 14);
/** A run takes a fifth of a second; a counterexample is run some hundred times before it is told. */
const RUN_LIMIT_MS = 2_000;

const name = fc.constantFrom('a', 'b', 'c', 'd', 'A', 'e\u0301', '\u00e9');
const pick = fc.nat(30);
const one = <const Word extends string>(...words: Word[]): fc.Arbitrary<Word> => fc.constantFrom(...words);

const here: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ here: one('create'), into: pick, name }) },
  { weight: 2, arbitrary: fc.record({ here: one('mkdir'), into: pick, name }) },
  { weight: 4, arbitrary: fc.record({ here: one('write', 'append'), pick }) },
  { weight: 4, arbitrary: fc.record({ here: one('unlink', 'removeAll'), pick }) },
  { weight: 2, arbitrary: fc.record({ here: one('read', 'readdir', 'utimes'), pick }) },
  { weight: 5, arbitrary: fc.record({ here: one('rename'), pick, into: pick, name }) },
  { weight: 3, arbitrary: fc.record({ here: one('replace', 'exchange'), pick, other: pick }) },
  { weight: 2, arbitrary: fc.record({ here: one('recase', 'respell'), pick }) },
);
const held: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ open: one('to read', 'to write', 'to append', 'emptied'), pick }) },
  { weight: 1, arbitrary: fc.record({ open: one('new'), into: pick, name }) },
  { weight: 6, arbitrary: fc.record({ held: pick, does: one('append', 'cut', 'start', 'read', 'sync', 'close') }) },
);
const there: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ there: one('add'), into: pick, name }) },
  { weight: 2, arbitrary: fc.record({ there: one('mkdir'), into: pick, name }) },
  { weight: 3, arbitrary: fc.record({ there: one('write'), pick }) },
  { weight: 4, arbitrary: fc.record({ there: one('remove', 'removeAll'), pick }) },
  { weight: 1, arbitrary: fc.record({ there: one('replace'), pick }) },
  { weight: 3, arbitrary: fc.record({ there: one('rename'), pick, name }) },
  { weight: 3, arbitrary: fc.record({ there: one('move'), pick, into: pick }) },
  { weight: 1, arbitrary: fc.record({ there: one('recase', 'respell'), pick }) },
);
const between: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ pass: fc.constantFrom(10, 700, 4_000, 20_000, 70_000) }) },
  { weight: 2, arbitrary: fc.record({ pusher: one('pause', 'resume', 'flush') }) },
  { weight: 2, arbitrary: fc.record({ list: pick }) },
  { weight: 1, arbitrary: fc.record({ restart: one('killed', 'ended') }) },
);
const faults: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ fail: one(...CALL_KINDS), how: one('unavailable') }),
  fc.record({ fail: one('list', 'upload', 'move', 'createFolders'), how: one('not-found') }),
  fc.record({ lose: one('upload', 'createFolders', 'move', 'deleteFile', 'deleteFolder') }),
);
const step = fc.oneof(
  { weight: 6, arbitrary: here },
  { weight: 3, arbitrary: held },
  { weight: 5, arbitrary: there },
  { weight: 3, arbitrary: between },
  { weight: 2, arbitrary: faults },
);

/** Every other service is as most are; what is rare comes alone and with others. */
const dialect: fc.Arbitrary<Dialect> = fc.record({
  moves: one('work', 'work', 'unsupported', 'ignored'),
  versions: one('keep ids', 'keep ids', 'change ids', 'are made by moves'),
  ignoresCase: fc.boolean(),
  composes: fc.constantFrom(false, false, false, true),
  idsAgain: one('never', 'never', 'for the name', 'for the next'),
  tellsIds: fc.constantFrom(true, true, true, false),
  tellsLengths: fc.constantFrom(true, true, true, false),
  refusesGone: fc.boolean(),
  lagMs: fc.constantFrom(0, 0, 1_500),
  latencyMs: fc.constantFrom(0, 40),
  eventsAfterMs: fc.constantFrom(undefined, undefined, 0, 3_000),
});

async function carryOut(service: Dialect, steps: readonly Step[]): Promise<void> {
  const tree = await SharedTree.start(service);
  try {
    for (const each of steps) await tree.take(each);
    await tree.settle();
  } catch (error) {
    if (error instanceof Error)
      error.message = `${error.message}\n${tree.trace.join('\n')}\n`
        .replaceAll(/\.{4,}/g, '..')
        .replaceAll('\u0301', '\\u0301');
    throw error;
  } finally {
    await tree.stop();
  }
}

describe('a tree that both sides change', () => {
  it(
    `comes to be the same on both, ${RUNS} runs, seed ${SEED}`,
    { timeout: 60_000 + RUNS * RUN_LIMIT_MS },
    async () => {
      const steps = fc.array(step, { minLength: 1, maxLength: STEPS_MAX, size: 'max' });
      await fc.assert(fc.asyncProperty(dialect, steps, carryOut), { numRuns: RUNS, seed: SEED });
    },
  );
});
