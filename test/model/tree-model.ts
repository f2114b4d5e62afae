// A tree of files and directories in memory, which says what a change of it must do. Paths are relative, their parts joined by "/".
export type ModelNode = { readonly kind: 'directory' } | { readonly kind: 'file'; readonly text: string };

export class TreeModel {
  readonly #nodes = new Map<string, ModelNode>();

  constructor(roots: readonly string[]) {
    for (const root of roots) this.#nodes.set(root, { kind: 'directory' });
  }

  node(path: string): ModelNode | undefined {
    return this.#nodes.get(path);
  }

  /** The same lines as a walk over a real tree prints. */
  lines(): string[] {
    return [...this.#nodes]
      .map(([path, node]) => (node.kind === 'directory' ? `${path}/` : `${path}: ${node.text}`))
      .sort();
  }

  /** Paths of all files, or of all directories, sorted. */
  paths(kind: ModelNode['kind']): string[] {
    return [...this.#nodes].flatMap(([path, node]) => (node.kind === kind ? [path] : [])).sort();
  }

  // Each change returns whether it is to succeed, and does it then.

  write(path: string, text: string): boolean {
    if (!this.#isIn(path) || this.#nodes.get(path)?.kind === 'directory') return false;
    this.#nodes.set(path, { kind: 'file', text });
    return true;
  }

  append(path: string, text: string): boolean {
    const node = this.#nodes.get(path);
    return this.write(path, (node?.kind === 'file' ? node.text : '') + text);
  }

  truncate(path: string, length: number): boolean {
    const node = this.#nodes.get(path);
    if (node?.kind !== 'file') return false;
    return this.write(path, node.text.slice(0, length).padEnd(length, '\0'));
  }

  makeDirectory(path: string): boolean {
    if (!this.#isIn(path) || this.#nodes.has(path)) return false;
    this.#nodes.set(path, { kind: 'directory' });
    return true;
  }

  unlink(path: string): boolean {
    return this.#nodes.get(path)?.kind === 'file' && this.#nodes.delete(path);
  }

  removeDirectory(path: string): boolean {
    return this.#nodes.get(path)?.kind === 'directory' && this.#below(path).length === 0 && this.#nodes.delete(path);
  }

  removeAll(path: string): boolean {
    for (const below of this.#below(path)) this.#nodes.delete(below);
    return this.#nodes.delete(path);
  }

  rename(from: string, to: string): boolean {
    const node = this.#nodes.get(from);
    const target = this.#nodes.get(to);
    if (node === undefined || !this.#isIn(to) || to.startsWith(`${from}/`)) return false;
    if (from === to) return true;
    if (target !== undefined && (target.kind !== node.kind || this.#below(to).length > 0)) return false;
    const moved = [from, ...this.#below(from)].map((path) => [path, this.#nodes.get(path)] as const);
    for (const [path] of moved) this.#nodes.delete(path);
    for (const [path, each] of moved) if (each !== undefined) this.#nodes.set(to + path.slice(from.length), each);
    return true;
  }

  #isIn(path: string): boolean {
    return this.#nodes.get(path.slice(0, path.lastIndexOf('/')))?.kind === 'directory';
  }

  #below(path: string): string[] {
    return [...this.#nodes.keys()].filter((each) => each.startsWith(`${path}/`));
  }
}
