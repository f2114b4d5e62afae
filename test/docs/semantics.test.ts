// doc/SEMANTICS.md, tried: its examples through a real mount in the order of the document, its table against the code.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findMount } from '../../src/base/mount-table.ts';
import { errno } from '../../src/base/errno.ts';
import { toFsError } from '../../src/fs-ops/errno.ts';
import { RemoteError, type RemoteErrorKind } from '../../src/remote-drive.ts';
import { programFile, User } from '../cli/program.ts';
import { fuseExists } from '../mount/drive.ts';
import { examplesOf, type Example } from './examples.ts';

const text = readFileSync(new URL('../../doc/SEMANTICS.md', import.meta.url), 'utf8');
const examples = examplesOf(text);
/** Not on every machine; CI installs it. */
const hasGetfattr = spawnSync('getfattr', ['--version']).error === undefined;
/** An example that waits for a change to be seen waits for a listing's lifetime of a second. */
const EXAMPLE_LIMIT_MS = 20_000;

const user = new User();
const bin = user.directory('bin');
writeFileSync(join(bin, 'syncplicityfs'), `#!/bin/sh\nexec '${process.execPath}' '${programFile}' "$@"\n`);
chmodSync(join(bin, 'syncplicityfs'), 0o755);

afterAll(async () => {
  const mountpoint = user.directory('drive');
  if ((await findMount(mountpoint)) !== undefined) await user.run(['unmount', '--lazy', mountpoint]);
  user.remove();
});

/** What a terminal would show. */
function outputOf({ command }: Example): Promise<string> {
  const environment = { ...user.environment, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', `exec 2>&1\n${command}`], {
      cwd: user.home,
      env: environment,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: EXAMPLE_LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (output += piece));
    child.on('error', reject);
    child.on('close', (code, signal) =>
      signal === null ? resolve(output) : reject(new Error(`still running after ${EXAMPLE_LIMIT_MS} ms: ${command}`)),
    );
  });
}

describe.skipIf(!fuseExists)('the examples of doc/SEMANTICS.md', () => {
  it('are many', () => expect(examples.length).toBeGreaterThan(40));

  for (const example of examples) {
    const skipped = example.command.startsWith('getfattr') && !hasGetfattr;
    it.skipIf(skipped)(`line ${example.line}: ${example.command}`, async () => {
      // The shell of a terminal says no line number.
      expect((await outputOf(example)).replace(/^bash: line \d+: /gm, 'bash: ')).toBe(example.output);
    });
  }
});

it('the table of failures in doc/SEMANTICS.md is that of the code', () => {
  const rows = [...text.matchAll(/^\| ([a-z-]+) \| (E[A-Z]+) \| [^|]+ \|$/gm)].map(([, kind = '', name = '']) => ({
    kind,
    name,
  }));
  expect(rows.length).toBe(9);
  for (const { kind, name } of rows) {
    const error = toFsError(new RemoteError(kind as RemoteErrorKind, 'it failed'), 'read');
    expect({ kind, errno: error.errno }).toEqual({ kind, errno: errno[name as keyof typeof errno] });
  }
});
