// kill -9 of the daemon at random moments under a mixed load: what close() accepted comes to the service whole, and nothing else does.
// `npm run soak` runs more rounds, through the environment variables below.
import { describe, expect, it } from 'vitest';
import { fuseExists } from '../mount/drive.ts';
import { runRounds, VARIANTS, type Variant } from './kill/rounds.ts';

/** Rounds that count, in a test run that people wait for: what is not heard of is looked for, and that takes its time. */
const USUAL_ROUNDS: Readonly<Record<Variant, number>> = { kill: 12, server: 4, lost: 4 };
/** Far above what a round takes: a hang is told by the limits within it. */
const ROUND_LIMIT_MS = 90_000;

const seed = Number(process.env['SOAK_SEED'] ?? 20_241);
const wanted = process.env['SOAK_ROUNDS'];
const variant = process.env['SOAK_VARIANT'] ?? 'all';
const variants = VARIANTS.filter((one) => variant === 'all' || variant === one);

describe.skipIf(!fuseExists)('a daemon killed under load', () => {
  // They wait more than they work.
  it.concurrent.each(variants)(
    'loses nothing, invents nothing: %s',
    async (one) => {
      const rounds = wanted === undefined ? USUAL_ROUNDS[one] : Math.ceil(Number(wanted) / variants.length);
      const tell = (line: string): void => {
        if (wanted !== undefined) console.log(line);
      };
      const { failures, ...figures } = await runRounds({ variant: one, rounds, seed, tell });
      console.log(`${one}, seed ${seed}: ${JSON.stringify({ ...figures, failures: failures.length })}`);
      expect(failures.join('\n\n')).toBe('');
      expect(figures.counting).toBeGreaterThanOrEqual(rounds);
    },
    ROUND_LIMIT_MS * (wanted === undefined ? 8 : Number(wanted)),
  );
});
