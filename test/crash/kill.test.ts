// What close() accepted is at the service in the end, through kill -9 of daemon and service and through lost replies: rounds of mixed
// work on a real mount. `npm run soak` runs many more of them.
import { afterEach, describe, expect, it } from 'vitest';
import { fuseExists } from '../mount/drive.ts';
import { KillRounds, type RoundsOptions } from './support/kill-rounds.ts';

/** Rounds that count: something acknowledged was not at the service when the kill came. */
const rounds = Number(process.env['CRASH_ROUNDS'] ?? 20);
const seed = Number(process.env['CRASH_SEED'] ?? 1);
const limitMs = 60_000 + rounds * 20_000;
const tenth = { kind: 'lost-reply', probability: 0.1, seed } as const;

describe.skipIf(!fuseExists)('what was acknowledged is at the service', () => {
  let running: KillRounds | undefined;
  afterEach(async () => {
    await running?.stop();
    running = undefined;
  });

  async function run(options: Omit<RoundsOptions, 'seed'>, wanted: number): Promise<void> {
    running = new KillRounds({ ...options, seed });
    await running.start();
    // Nearly all rounds count; one that does not must not hide that none does.
    for (let round = 0; running.counted < wanted && round < 2 * wanted; round += 1) await running.round();
    expect(running.counted).toBe(wanted);
  }

  it('after the daemon was killed', () => run({ killsDaemon: true, killsService: false, faults: [] }, rounds), limitMs);

  it(
    'after the service was killed, and when replies were lost',
    () => run({ killsDaemon: false, killsService: true, faults: [tenth] }, Math.ceil(rounds / 4)),
    limitMs,
  );

  it(
    'after both were killed, and when replies were lost',
    () => run({ killsDaemon: true, killsService: true, faults: [tenth] }, Math.ceil(rounds / 4)),
    limitMs,
  );
});
