// What the compiler leaves undone: programs that may be run, and the files of the status page that are no scripts.
import { chmodSync, cpSync, readdirSync } from 'node:fs';

for (const name of ['syncplicityfs', 'mount.syncplicityfs']) chmodSync(`dist/bin/${name}.js`, 0o755);
for (const name of readdirSync('src/dashboard/page')) {
  if (/\.(html|css|svg)$/.test(name)) cpSync(`src/dashboard/page/${name}`, `dist/src/dashboard/page/${name}`);
}
