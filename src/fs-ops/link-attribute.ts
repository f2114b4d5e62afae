// The extended attribute `user.syncplicity.link`: the URL of an object's shared link. Reading it by name asks the service; it is never listed,
// so that what lists or copies attributes makes no call and no link. Must not know how links are made.
import { errno } from '../base/errno.ts';
import type { TreeNode } from '../cache/tree.ts';
import { FsError } from './operations.ts';

/** The attribute's name. */
export const LINK = 'user.syncplicity.link';

/** Who may follow a link that is made by its attribute: the company's own users, or everybody. */
export type SharedWith = 'internal' | 'all';

/** Shared links of objects. Rejects with RemoteError as the service does. */
export interface ObjectLinks {
  /** The URL of the newest link to an object that has not expired; undefined where there is none. */
  url(object: TreeNode, signal: AbortSignal): Promise<string | undefined>;
  /** Makes a link, or changes whom the newest one is for. Throws FsError EBUSY where the service does not have the object yet. */
  share(object: TreeNode, sharedWith: SharedWith, signal: AbortSignal): Promise<void>;
  /** Revokes all links to an object. Resolves with how many there were. */
  revoke(object: TreeNode, signal: AbortSignal): Promise<number>;
}

/** GETXATTR. Throws FsError ENODATA where there is no link. */
export async function linkAttribute(links: ObjectLinks, object: TreeNode, signal: AbortSignal): Promise<Uint8Array> {
  const url = await links.url(object, signal);
  if (url === undefined) throw new FsError(errno.ENODATA, 'no link leads to it');
  return Buffer.from(url);
}

/**
 * SETXATTR and REMOVEXATTR (`value` undefined). Throws FsError: EINVAL for a value that is neither a policy nor the URL that the attribute
 * has, which stays; ENODATA where there is no link to revoke.
 */
export async function changeLinkAttribute(
  links: ObjectLinks,
  object: TreeNode,
  value: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (value === undefined) {
    if ((await links.revoke(object, signal)) === 0) throw new FsError(errno.ENODATA, 'no link leads to it');
    return;
  }
  const text = Buffer.from(value).toString('utf8').trim();
  if (text === 'internal' || text === 'all') await links.share(object, text, signal);
  else if (text === '' || text !== (await links.url(object, signal))) {
    throw new FsError(errno.EINVAL, `${LINK} is set to internal or all`);
  }
}
