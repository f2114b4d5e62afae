// Every step of every way to the service is cut before and after it was carried out, by a lost reply, a kill and an orderly stop: what is
// wanted is at the service under one of its names at every moment, and whoever goes on finishes the job.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { catalogue, changedAgain } from './support/catalogue.ts';
import { carryOut, type Break, type Case } from './support/scenario.ts';
import type { CutDriveOptions } from './support/cut-drive.ts';
import { enterVirtualTime, leaveVirtualTime } from './support/virtual-time.ts';

const services: Readonly<Record<string, CutDriveOptions>> = {
  'moves work': {},
  'moves are unknown': { moves: 'unsupported' },
  'moves are answered and not done': { moves: 'ignored' },
  'listings lag and replies tell no ids': { lagMs: 1_500, tellsIds: false },
  'listings lag, no moves': { lagMs: 1_500, moves: 'unsupported' },
  'names are blind to case, no moves': { ignoresCase: true, moves: 'unsupported', tellsIds: false },
};
beforeEach(() => enterVirtualTime());
afterEach(leaveVirtualTime);

const only = process.env['CRASH_SCENARIO'];
/** Every point in every way; set before a release. */
const everywhere = process.env['CRASH_POINTS'] === 'all';

for (const [dialect, service] of Object.entries(services)) {
  describe(`where ${dialect}`, () => {
    for (const scenario of [...catalogue, ...changedAgain].filter(
      ({ name }) => only === undefined || name.includes(only),
    )) {
      const again = scenario.afterwards !== undefined;
      for (const pace of again ? (['together'] as const) : (['together', 'apart'] as const)) {
        it(`${scenario.name}, stored ${pace}`, async () => {
          await cutEverywhere(
            { scenario, service, pace, cut: undefined },
            again ? ['outage', 'kill'] : ['lost', 'kill', 'stop'],
          );
        });
      }
    }
  });
}

/** Cuts at each point that the case has when nothing is cut, in each of these ways. */
async function cutEverywhere(whole: Case, breaks: readonly Break[]): Promise<void> {
  const { points, problems, calls } = await carryOut(whole);
  expect(problems.length, [...problems, ...calls].join('\n  ')).toBe(0);
  const broken: string[] = [];
  for (let point = 0; point < points; point += 1) {
    // All of it takes half an hour: a usual run cuts every third point, in one of the ways.
    const turn = point + whole.scenario.name.length;
    const ways = everywhere
      ? breaks
      : turn % 3 === 0
        ? breaks.filter((_, index) => index === (turn / 3) % breaks.length)
        : [];
    for (const how of ways) {
      const result = await carryOut({ ...whole, cut: { point, how } });
      if (result.problems.length > 0) broken.push([...result.problems, ...result.calls].join('\n  '));
    }
  }
  expect(broken.length, broken.slice(0, 1).join('\n')).toBe(0);
}
