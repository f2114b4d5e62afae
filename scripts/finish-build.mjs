// What the compiler leaves undone: programs of few files, that may be run, and the files of the status page that are no scripts.
import { chmodSync, cpSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'dist', 'bin');
const programs = ['syncplicityfs', 'mount.syncplicityfs'];

for (const name of readdirSync(join(root, 'src/dashboard/page'))) {
  if (/\.(html|css|svg)$/.test(name))
    cpSync(join(root, 'src/dashboard/page', name), join(root, 'dist/src/dashboard/page', name));
}

// A module is looked for, opened and linked one by one: half of the time that a mount takes to come up goes into five hundred of them.
for (const name of readdirSync(bin)) if (/^part-/.test(name)) rmSync(join(bin, name));
const bundle = await rolldown({
  input: Object.fromEntries(programs.map((name) => [name, join(bin, `${name}.js`)])),
  platform: 'node',
  // Packages stay where npm put them.
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  plugins: [{ name: 'own-url', transform: (code, id) => code.replaceAll('import.meta.url', ownUrl(id)) }],
  onLog: (_level, { message }) => {
    throw new Error(message);
  },
});
const { output } = await bundle.write({ dir: bin, format: 'esm', chunkFileNames: 'part-[name]-[hash].js' });
// A program awaits its own work: what is loaded meanwhile would wait for it for ever.
for (const { fileName, imports = [] } of output) {
  const program = imports.find((name) => programs.includes(name.replace(/\.js$/, '')));
  if (program !== undefined) throw new Error(`${fileName} imports the program ${program}`);
}
for (const name of programs) chmodSync(join(bin, `${name}.js`), 0o755);

/** What a module took for its own address is that still, wherever its code is now. */
function ownUrl(id) {
  return `new URL(${JSON.stringify(relative(bin, id))}, import.meta.url).href`;
}
