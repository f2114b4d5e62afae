// doc/SEMANTICS.md, tried: its examples through a real mount in the order of the document, its table against the code.
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { errno } from '../../src/base/errno.ts';
import { toFsError } from '../../src/fs-ops/errno.ts';
import { RemoteError, type RemoteErrorKind } from '../../src/remote-drive.ts';
import { fuseExists } from '../mount/drive.ts';
import { examplesOf } from './examples.ts';
import { Shell } from './shell.ts';
import { lacks } from '../machine.ts';

const text = readFileSync(new URL('../../doc/SEMANTICS.md', import.meta.url), 'utf8');
const examples = examplesOf(text);

const shell = new Shell();
afterAll(() => shell.remove());

describe.skipIf(!fuseExists)('the examples of doc/SEMANTICS.md', () => {
  it('are many', () => expect(examples.length).toBeGreaterThan(40));

  for (const example of examples) {
    it.skipIf(/[gs]etfattr/.test(example.command) && lacks('getfattr'))(
      `line ${example.line}: ${example.command}`,
      async () => {
        expect(await shell.run(example.command)).toBe(example.output);
      },
    );
  }
});

it('the table of failures in doc/SEMANTICS.md is that of the code', () => {
  const rows = [...text.matchAll(/^\| ([a-z-]+) \| (E[A-Z]+) \| [^|]+ \|$/gm)].map(([, kind = '', name = '']) => ({
    kind,
    name,
  }));
  expect(rows.length).toBe(11);
  for (const { kind, name } of rows) {
    const error = toFsError(new RemoteError(kind as RemoteErrorKind, 'it failed'), 'read');
    expect({ kind, errno: error.errno }).toEqual({ kind, errno: errno[name as keyof typeof errno] });
  }
});
