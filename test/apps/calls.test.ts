// What everyday jobs cost in calls, counted by the service: they are what there is least of.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fuseExists } from '../mount/drive.ts';
import { Desk } from './desk.ts';
import { lacks } from '../machine.ts';

let desk: Desk;

beforeEach(async () => {
  desk = await Desk.set({ mount: ['--settle', '500ms'] });
  // Signing in and the first look are not the job's.
  await desk.script('ls $M $P');
});
afterEach(async () => {
  await desk.clear();
});

/** What the service was asked while `work` went on and all of it was sent, in how long. */
interface Calls {
  readonly gateway: number;
  readonly vault: number;
  readonly seconds: number;
  /** For a failure's message. */
  readonly each: string;
}

async function callsOf(work: () => Promise<unknown>): Promise<Calls> {
  const before = desk.drive.emulator.calls().byEndpoint;
  const startMs = performance.now();
  await work();
  await desk.flush();
  const counts = { gateway: 0, vault: 0 };
  const each: string[] = [];
  for (const [endpoint, count] of Object.entries(desk.drive.emulator.calls().byEndpoint)) {
    const isVault = ['saveFile', 'v2mime', 'retrieveFile'].includes(endpoint);
    const made = count - (before[endpoint] ?? 0);
    counts[isVault ? 'vault' : 'gateway'] += made;
    each.push(`${endpoint} ${made}`);
  }
  return { ...counts, seconds: (performance.now() - startMs) / 1000, each: each.join(', ') };
}

/** A tree of 1,000 files in 10 folders on the local disk. */
function makeTree(): void {
  for (let file = 0; file < 1_000; file += 1) {
    const folder = join(desk.local('tree'), `folder${file % 10}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file${file}`), Buffer.alloc(16_384, `${file} `));
  }
}

describe.skipIf(!fuseExists)('calls', () => {
  it.skipIf(lacks('rsync'))(
    'of rsync -a of 1,000 files: one upload each, and at most 15 for all else',
    { timeout: 120_000 },
    async () => {
      makeTree();
      const sent = await callsOf(() => desk.script('rsync -a tree/ $P/tree'));
      expect(sent.vault).toBe(1_000);
      // A machine that takes longer sees looks at the syncpoints and folders that are made, both each 5 s, in between.
      expect(sent.gateway, sent.each).toBeLessThanOrEqual(15 + 2 * Math.floor(sent.seconds / 5));
      // Whether anybody else was at work meanwhile, only a look tells, some seconds after all has come to rest: at the two folders above, and
      // where this took long at those that were looked at before its end. Then all is known, and the service may be asked for events alone.
      let looks = 0;
      let seconds = 0;
      const each: string[] = [];
      let isAllKnown = false;
      while (!isAllKnown && seconds < 30) {
        const again = await callsOf(() => desk.script('rsync -a tree/ $P/tree'));
        expect(again.vault).toBe(0);
        looks += again.gateway;
        seconds += again.seconds;
        each.push(again.each);
        isAllKnown = seconds > 5 && again.gateway === 0;
      }
      expect(looks, each.join('; ')).toBeLessThanOrEqual(12 + Math.floor(seconds / 5));
      expect(isAllKnown, each.join('; ')).toBe(true);
    },
  );

  it('of renaming a stored folder of 1,000 files: at most 3', { timeout: 120_000 }, async () => {
    makeTree();
    await callsOf(() => desk.script('mkdir $P/all; cp -r tree $P/all/'));
    const sent = await callsOf(() => desk.script('mv $P/all $P/renamed'));
    // And the looks of a machine that takes longer.
    expect(sent.gateway, sent.each).toBeLessThanOrEqual(3 + 2 * Math.floor(sent.seconds / 5));
    await desk.remount('wiped');
    await desk.script('diff -r tree $P/renamed/tree');
  });

  it(
    'of rm -rf of 1,000 stored files in 10 folders: at most 5, unseen changes apart',
    { timeout: 120_000 },
    async () => {
      makeTree();
      await callsOf(() => desk.script('cp -r tree $P/'));
      // Somebody who looked at it in the meantime, as people do before they delete.
      await desk.remount('wiped');
      await desk.script('find $P > /dev/null');
      const sent = await callsOf(() => desk.script('rm -rf $P/tree'));
      expect(sent.gateway, sent.each).toBeLessThanOrEqual(5 + 2 * Math.floor(sent.seconds / 5));
      expect(await desk.heldByService()).toEqual(['Archive: folder', 'Projects: folder']);
    },
  );

  it('of mkdir of 200 folders: at most 25', async () => {
    const made = await callsOf(() =>
      desk.script('for i in $(seq 200); do mkdir -p $P/made/in$((i / 20))/folder$i; done'),
    );
    expect(made.gateway).toBeLessThanOrEqual(25);
  });

  it('of looking at one syncpoint of two: none for the other one', async () => {
    await desk.script('ls $M $P $P');
    const { byEndpoint } = desk.drive.emulator.calls();
    expect(byEndpoint['folder']).toBe(1);
  });

  it('of what cancels out: none', async () => {
    const made = await callsOf(() =>
      desk.script('mkdir $P/new; cp -r /etc/default $P/new/; mv $P/new $P/newer; rm -rf $P/newer; touch $P/x; rm $P/x'),
    );
    expect(made.vault).toBe(0);
    expect(made.gateway).toBeLessThanOrEqual(1);
  });
});
