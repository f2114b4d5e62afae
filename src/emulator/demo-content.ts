// What `mount --demo` shows: this project's own documents and source, and the pictures and papers that come with it, copied once
// so that changes made in the demo stay the user's own.
import { access, cp, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What becomes of the package's files: syncpoint name -> paths in the package. What an installed package leaves out is skipped. */
const SYNCPOINTS: Readonly<Record<string, readonly string[]>> = {
  Project: ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'doc', 'src', 'man'],
  Pictures: ['demo/Pictures'],
  Documents: ['demo/Documents'],
};

/** The package's root: this file is built to dist/src/emulator/. */
const PACKAGE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Makes the demo's data below `directory` unless it is there. Returns the directory to serve, one syncpoint a subdirectory. */
export async function demoData(directory: string, packageRoot: string = PACKAGE_ROOT): Promise<string> {
  const data = join(directory, 'data');
  if (await exists(data)) return data;
  // Made aside and renamed, so that an interrupted start leaves no half of it.
  const unfinished = join(directory, 'data.new');
  await rm(unfinished, { recursive: true, force: true });
  for (const [syncpoint, paths] of Object.entries(SYNCPOINTS)) {
    await mkdir(join(unfinished, syncpoint), { recursive: true, mode: 0o700 });
    for (const path of paths) {
      const from = join(packageRoot, path);
      if (!(await exists(from))) continue;
      const whole = path.startsWith('demo/') ? join(unfinished, syncpoint) : join(unfinished, syncpoint, path);
      await cp(from, whole, { recursive: true, preserveTimestamps: true });
    }
  }
  await rename(unfinished, data);
  return data;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
