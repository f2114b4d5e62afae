// Shared links of what the drive shows, for its extended attribute. One list of all links serves whoever asks within seconds, so that a
// walk over a tree costs few calls; only where it does not tell what links are for, each object is asked for. Part of the composition root.
import { performance } from 'node:perf_hooks';
import { waitFor } from '../base/abort.ts';
import { errno } from '../base/errno.ts';
import { foldName } from '../base/fold-name.ts';
import type { Journal } from '../cache/journal.ts';
import { ROOT_INODE, type TreeNode } from '../cache/tree.ts';
import type { ObjectLinks, SharedWith } from '../fs-ops/link-attribute.ts';
import { FsError } from '../fs-ops/operations.ts';
import { RemoteError } from '../remote-drive.ts';
import { isLinkOf, type LinkCalls, type LinkedObject, namesIn, type SharedLink } from '../syncplicity/content/links.ts';
import { locatedObject } from './locating.ts';

/** As long as somebody who made a link elsewhere may wait to see it; 360 calls an hour for one who asks all the time. */
const LIST_LIFETIME_MS = 10_000;

export interface LinkingOptions {
  readonly journal: Journal;
  readonly links: LinkCalls;
}

/** All links, by what they say that they are for: a walk asks for thousands of objects. */
interface LinkIndex {
  readonly byKey: ReadonlyMap<string, readonly SharedLink[]>;
  /** Those that do not say. */
  readonly unclear: readonly SharedLink[];
}

export class Linking implements ObjectLinks {
  readonly #journal: Journal;
  readonly #calls: LinkCalls;
  #list: { readonly index: Promise<LinkIndex>; readonly askedAtMs: number } | undefined;

  constructor({ journal, links }: LinkingOptions) {
    this.#journal = journal;
    this.#calls = links;
  }

  async url(object: TreeNode, signal: AbortSignal): Promise<string | undefined> {
    const target = this.#target(object);
    if (target === undefined) return undefined;
    const { byKey, unclear } = await waitFor(this.#all(), signal);
    const candidates = keysOf(target).flatMap((key) => byKey.get(key) ?? []);
    let own = candidates.filter((link) => isLinkOf(link, target) === true);
    if (own.length === 0 && unclear.some((link) => isLinkOf(link, target) === undefined)) {
      own = await this.#calls.list({ of: target }, { signal });
    }
    const link = newest(own);
    return link?.url ?? link?.landingPageUrl;
  }

  async share(object: TreeNode, sharedWith: SharedWith, signal: AbortSignal): Promise<void> {
    const target = this.#stored(object);
    const link = newest(await this.#calls.list({ of: target }, { signal }));
    try {
      if (link !== undefined) await this.#calls.update(link.token, { policy: sharedWith }, { signal });
      else await this.#create(target, sharedWith, signal);
    } finally {
      this.#list = undefined;
    }
  }

  async revoke(object: TreeNode, signal: AbortSignal): Promise<number> {
    const links = await this.#calls.list({ of: this.#stored(object) }, { signal });
    try {
      for (const { token } of links) await this.#calls.delete(token, { signal });
    } finally {
      this.#list = undefined;
    }
    return links.length;
  }

  async #create(target: LinkedObject, policy: SharedWith, signal: AbortSignal): Promise<void> {
    for await (const { made } of this.#calls.create([target], { policy }, { signal })) {
      if (made.length > 0) return;
    }
    throw new RemoteError('protocol', `Syncplicity made no link to ${target.names.at(-1) ?? 'the syncpoint'}`);
  }

  /** All links, asked for once by all who want them. Nobody's interrupt ends it for the others. */
  #all(): Promise<LinkIndex> {
    const now = performance.now();
    if (this.#list !== undefined && now - this.#list.askedAtMs < LIST_LIFETIME_MS) return this.#list.index;
    const list = { index: this.#calls.list({}, {}).then(indexed), askedAtMs: now };
    this.#list = list;
    list.index.catch(() => {
      // Whoever waits is told; the next one asks again.
      if (this.#list === list) this.#list = undefined;
    });
    return list.index;
  }

  #stored(object: TreeNode): LinkedObject {
    const target = this.#target(object);
    if (target === undefined) throw new FsError(errno.EBUSY, 'it is not stored at Syncplicity yet: flush first');
    return target;
  }

  #target(object: TreeNode): LinkedObject | undefined {
    if (object.inode === ROOT_INODE) return undefined;
    // Control messages carry ids as plain text; these come from the tree.
    return locatedObject(this.#journal, object) as LinkedObject | undefined;
  }
}

function indexed(links: readonly SharedLink[]): LinkIndex {
  const byKey = new Map<string, SharedLink[]>();
  const unclear: SharedLink[] = [];
  for (const link of links) {
    const { fileId, path } = link;
    const key = fileId === undefined ? path && pathKey(namesIn(path)) : fileKey(fileId);
    const alike = key === undefined ? unclear : (byKey.get(key) ?? []);
    alike.push(link);
    if (key !== undefined) byKey.set(key, alike);
  }
  return { byKey, unclear };
}

/** Where links to an object stand in the index: files by their id, where the service tells it. */
function keysOf({ fileId, names }: LinkedObject): string[] {
  return [...(fileId === undefined ? [] : [fileKey(fileId)]), pathKey(names)];
}

function fileKey(fileId: string): string {
  return `file ${fileId}`;
}

function pathKey(names: readonly string[]): string {
  return `path ${foldName(names.join('\\'))}`;
}

function newest(links: readonly SharedLink[]): SharedLink | undefined {
  const timeOf = ({ shared }: SharedLink): number =>
    shared === undefined ? -Infinity : shared.seconds + shared.nanoseconds / 1e9;
  return links.reduce<SharedLink | undefined>(
    (best, link) => (best === undefined || timeOf(link) >= timeOf(best) ? link : best),
    undefined,
  );
}
