// The daemon of the tests as plain JavaScript: support/daemon.ts and what it imports, stripped of types once for a test file,
// so that each child starts as fast as the product does. Type errors are the type checker's business.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const project = fileURLToPath(new URL('../../../', import.meta.url));
let output: string | undefined;
let daemon: string | undefined;

/** The path of the compiled daemon; made on first use, until {@link removeCompiled}. */
export function compiledDaemon(): string {
  if (daemon !== undefined) return daemon;
  output = mkdtempSync(join(tmpdir(), 'syncplicityfs-compiled-'));
  const waiting = [fileURLToPath(new URL('daemon.ts', import.meta.url))];
  const done = new Set<string>();
  for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
    if (done.has(source)) continue;
    done.add(source);
    const text = readFileSync(source, 'utf8');
    for (const { fileName } of ts.preProcessFile(text).importedFiles) {
      if (fileName.startsWith('.')) waiting.push(resolve(dirname(source), fileName));
    }
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    });
    const target = join(output, relative(project, source)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }
  writeFileSync(join(output, 'package.json'), '{"type":"module"}');
  symlinkSync(join(project, 'node_modules'), join(output, 'node_modules'));
  chmodSync(output, 0o755); // ordinary users run it too
  daemon = join(output, 'test/fuse/support/daemon.js');
  return daemon;
}

/** Removes what {@link compiledDaemon} made. */
export function removeCompiled(): void {
  if (output !== undefined) rmSync(output, { recursive: true, force: true });
  output = daemon = undefined;
}
