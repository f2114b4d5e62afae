#!/usr/bin/env node
// Measures a mount of the built program against `rclone mount` in one run, on the same data, behind the same shaped line.
// usage: node bench/bench.mjs [--quick] [--only NAME,...] [--data DIR] [--dist DIR] [--no-rclone] [--json FILE]
// Ends with 1 when a bar is missed. Whatever happens, also on Ctrl-C, everything it started is stopped and unmounted.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as listing from './cases/listing.mjs';
import * as memory from './cases/memory.mjs';
import * as pool from './cases/pool.mjs';
import * as random from './cases/random.mjs';
import * as sequential from './cases/sequential.mjs';
import * as smallFiles from './cases/small-files.mjs';
import * as treeWalk from './cases/tree-walk.mjs';
import * as writing from './cases/writing.mjs';
import { makeDataset } from './dataset.mjs';
import { startLine } from './line.mjs';
import { startOurDrive } from './our-drive.mjs';
import { isMounted } from './programs.mjs';
import { rcloneVersion, startRcloneDrive } from './rclone-drive.mjs';
import { table } from './report.mjs';
import { Stops } from './stops.mjs';

const CASES = [listing, treeWalk, sequential, random, smallFiles, memory, writing, pool];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    data: { type: 'string' },
    dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
    'no-rclone': { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (options.help) {
  console.log(`usage: npm run bench -- [options]
  --quick        a tenth of the data: to see that everything runs; its figures mean little
  --only NAMES   some of: ${CASES.map(({ name }) => name).join(', ')}
  --data DIR     keep the data there for the next run (default: a temporary directory)
  --dist DIR     the build to measure (default: dist)
  --no-rclone    measure without the comparison
  --json FILE    write the rows there too`);
} else {
  process.exitCode = await main();
}

async function main() {
  const wanted = options.only?.split(',');
  const unknown = wanted?.filter((name) => !CASES.some((one) => one.name === name)) ?? [];
  if (unknown.length > 0) {
    console.error(`there is no case ${unknown.join(', ')}`);
    return 2;
  }
  const stops = new Stops();
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Error('interrupted'));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, interrupt);
  const workDirectory = mkdtempSync(join(tmpdir(), 'syncplicityfs-bench-'));
  let failed = false;
  try {
    const rows = await measure(stops, workDirectory, wanted, interruption.signal);
    console.log(`\n${table(rows)}`);
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rows, undefined, 2)}\n`);
    failed = rows.some(({ pass }) => pass === false);
    const judged = rows.filter(({ pass }) => pass !== undefined);
    console.log(`\n${judged.filter(({ pass }) => pass).length} of ${judged.length} bars are met.`);
  } catch (error) {
    failed = true;
    console.error(interruption.signal.aborted ? 'interrupted' : error);
  } finally {
    for (const failure of await stops.run()) console.error(`not stopped: ${failure}`);
    const left = ['ours', 'rclone', 'pool'].map((name) => join(workDirectory, name)).filter(isMounted);
    // Never remove what may be somebody's content below a mount.
    if (left.length > 0) console.error(`still mounted: ${left.join(', ')}`);
    else rmSync(workDirectory, { recursive: true, force: true });
  }
  return failed ? 1 : 0;
}

async function measure(stops, workDirectory, wanted, signal) {
  const version = await rcloneVersion();
  console.log(`${new Date().toISOString()}, Linux ${release()}, Node ${process.version}, ${version ?? 'no rclone'}`);
  console.log(`${cpus().length} x ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB`);
  const kept = options.data === undefined ? workDirectory : resolve(options.data);
  mkdirSync(kept, { recursive: true });
  console.log('making the data ...');
  const data = makeDataset(kept, options.quick);
  signal.throwIfAborted();

  const line = await startLine(stops);
  const shared = { stops, line, dataDirectory: data.data, workDirectory, signal };
  const programFile = join(resolve(options.dist), 'bin/syncplicityfs.js');
  const ours = await startOurDrive({ ...shared, programFile });
  const withRclone = version !== undefined && !options['no-rclone'];
  const rclone = withRclone ? await startRcloneDrive(shared) : undefined;

  const rows = [];
  for (const one of CASES) {
    if (wanted !== undefined && !wanted.includes(one.name)) continue;
    console.log(`${one.name} ...`);
    const measured = await one.run({ ours, rclone, data, line, signal, workDirectory, stops, programFile });
    rows.push(...measured);
    // What is measured is kept in sight should a later case fail.
    console.log(table(measured));
  }
  return rows;
}
