// The files of the page, by the paths under which they are served: what lies in page/, what its scripts share with the server, and uPlot.
// Promises: read once, from a fixed list, so that no request names a file of this machine.
import { readdir, readFile } from 'node:fs/promises';
import { extname } from 'node:path';

export interface Asset {
  readonly type: string;
  readonly content: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** What the page's scripts import from outside their room; the paths are those of src/, so that their imports hold in a browser too. */
const SHARED = ['base/quantities.js', 'base/usage-error.js'];

/** All files of the page. Rejects where the program was not built. */
export async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const page = new URL('page/', import.meta.url);
  const names = (await readdir(page)).filter((name) => extname(name) in TYPES);
  const files: [path: string, file: URL][] = [
    ...names.map((name): [string, URL] => [`/dashboard/page/${name}`, new URL(name, page)]),
    ...SHARED.map((path): [string, URL] => [`/${path}`, new URL(`../${path}`, import.meta.url)]),
    ['/dashboard/page/uplot.js', ofUplot('uPlot.esm.js')],
    ['/dashboard/page/uplot.css', ofUplot('uPlot.min.css')],
    ['/', new URL('index.html', page)],
  ];
  return new Map(
    await Promise.all(
      files.map(async ([path, file]): Promise<[string, Asset]> => {
        const type = TYPES[extname(file.pathname)] as string;
        return [path, { type, content: await readFile(file) }];
      }),
    ),
  );
}

/** uPlot's entry lies beside the other files of its build. */
function ofUplot(name: string): URL {
  return new URL(name, import.meta.resolve('uplot'));
}
