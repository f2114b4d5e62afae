// `npm run soak [-- --rounds 200 --seed N --variant kill|server|lost|all]`, after the build: kills a drive's daemon under load again and
// again and compares what the service holds with what was acknowledged. Evidence of a failure is kept. It stays out of how a round goes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const usage = 'usage: npm run soak [-- --rounds N --seed N --variant kill|server|lost|all]';

process.exitCode = main();

function main() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        rounds: { type: 'string', default: '200' },
        seed: { type: 'string', default: String(Date.now() % 1_000_000) },
        variant: { type: 'string', default: 'all' },
      },
    }));
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    return 2;
  }
  const { rounds, seed, variant } = values;
  const known = ['kill', 'server', 'lost', 'all'].includes(variant);
  if (!known || !/^[1-9][0-9]*$/.test(rounds) || !/^[0-9]+$/.test(seed)) {
    console.error(usage);
    return 2;
  }
  const evidence = mkdtempSync(join(tmpdir(), 'syncplicityfs-soak-'));
  console.log(`${rounds} rounds, ${variant}, seed ${seed}`);
  const { status } = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      ...['run', 'test/crash/kill.test.ts', '--maxWorkers=1', '--disable-console-intercept'],
    ],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, SOAK_ROUNDS: rounds, SOAK_SEED: seed, SOAK_VARIANT: variant, SOAK_EVIDENCE: evidence },
    },
  );
  if (readdirSync(evidence).length === 0) rmdirSync(evidence);
  else console.log(`evidence is kept in ${evidence}`);
  return status === 0 ? 0 : 1;
}
