// kill -9 at any moment: the next process opens the cache, serves right bytes, and uses what had been kept.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { bytesOf, contentReference, FakeContentDrive } from '../../fakes/content-drive.ts';
import { freshDirectory, open, readBytes, stopAll } from './opened.ts';

const project = join(import.meta.dirname, '../../..');
const MiB = 2 ** 20;
/** The sources as plain modules, because a child process has no loader for TypeScript; below the project to find packages. */
let compiled: string;

beforeAll(() => {
  compiled = mkdtempSync(join(project, 'node_modules', '.blocks-crash-'));
  const sources = ['src/base', 'src/cache/blocks', 'test/fakes']
    .flatMap((directory) => readdirSync(join(project, directory)).map((name) => join(directory, name)))
    .filter((path) => path.endsWith('.ts'));
  for (const path of [...sources, 'src/remote-drive.ts', 'src/cache/blocks.ts']) {
    const { outputText } = ts.transpileModule(readFileSync(join(project, path), 'utf8'), {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        rewriteRelativeImportExtensions: true,
        verbatimModuleSyntax: true,
      },
    });
    const to = join(compiled, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, outputText);
  }
  writeFileSync(join(compiled, 'package.json'), '{"type":"module"}');
  writeFileSync(join(compiled, 'child.js'), child);
});
afterEach(stopAll);
afterAll(() => rmSync(compiled, { recursive: true, force: true }));

/** Reads one version after the other into the cache until it is killed, and says how far it came. */
const child = `
import { openContentBlocks } from './src/cache/blocks.js';
import { contentReference, FakeContentDrive } from './test/fakes/content-drive.js';
const [directory, first] = process.argv.slice(2);
const drive = new FakeContentDrive({ pace: () => new Promise((resolve) => setImmediate(resolve)) });
const blocks = await openContentBlocks({ directory, diskBytesMax: 40 * 2 ** 20, memoryBytesMax: 4 * 2 ** 20, drive });
for (let at = Number(first); ; at++) {
  const reader = blocks.reader(contentReference('crash-' + at, at % 2 === 0 ? 9000 : 1_500_000));
  for (let offset = 0; offset < 1_500_000; offset += 300_000) await reader.read(offset, 300_000);
  reader.close();
  process.stdout.write(at + '\\n');
  // The index is committed every 100 ms: a run must last through several commits.
  await new Promise((resolve) => setTimeout(resolve, 15));
}
`;

/** Runs the child and kills it after it has read `count` versions and a little more. Tells the last version it reported. */
async function runAndKill(directory: string, first: number, count: number, extraMs: number): Promise<number> {
  const running = spawn(process.execPath, [join(compiled, 'child.js'), directory, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let last = -1;
  let timer: NodeJS.Timeout | undefined;
  running.stdout.on('data', (chunk: Buffer) => {
    last = Number(chunk.toString().trim().split('\n').at(-1));
    if (last >= first + count) timer ??= setTimeout(() => running.kill('SIGKILL'), extraMs);
  });
  await new Promise((resolve) => running.once('close', resolve));
  clearTimeout(timer);
  return last;
}

test('a cache killed while it writes opens again, with right bytes and most of them', async () => {
  const directory = await freshDirectory();
  let first = 0;
  for (const extraMs of [0, 3, 11, 40, 120]) {
    const last = await runAndKill(directory, first, 24, extraMs);
    expect(last).toBeGreaterThanOrEqual(first + 24);
    const drive = new FakeContentDrive();
    const blocks = await open({ directory, drive, diskBytesMax: 40 * MiB });
    let readBytesTotal = 0;
    for (let at = last; at > Math.max(0, last - 20); at--) {
      const content = contentReference(`crash-${at}`, at % 2 === 0 ? 9000 : 1_500_000);
      const bytes = await readBytes(blocks.reader(content), 0, content.lengthBytes);
      expect(bytes.equals(bytesOf(content, 0, content.lengthBytes)), content.versionId).toBe(true);
      readBytesTotal += content.lengthBytes;
    }
    expect(drive.sentBytes).toBeLessThan(readBytesTotal);
    await blocks.stop();
    first = last + 1;
  }
});
