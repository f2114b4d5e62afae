// What stat(2) and getxattr(2) show of nodes beside the tree.
import type { SyncpointId } from '../../remote-drive.ts';
import type { Ownership } from '../attributes.ts';
import type { Attributes } from '../operations.ts';
import type { BesideNode } from './nodes.ts';

/** As long as a program that lists a directory takes to look at what it saw. */
export const CONTENTS_LIFETIME_MS = 10_000;
/** A file beside the tree never changes. */
const FILE_LIFETIME_MS = 3_600_000;

/** The attributes of a node. */
export function besideAttributes(value: BesideNode, { uid, gid, umask }: Ownership): Attributes {
  const { kind, node, modified } = value;
  return {
    inode: node,
    type: kind,
    // Those of any file, so that what is copied out can be written to; here nothing can.
    permissions: (kind === 'directory' ? 0o777 : 0o666) & ~umask,
    linkCount: 1,
    uid,
    gid,
    sizeBytes: kind === 'file' ? (value.lengthBytes ?? 0) : 0,
    modified,
    changed: modified,
    accessed: modified,
  };
}

/** How long the kernel may trust them. */
export function attributesLifetimeMs({ kind }: BesideNode): number {
  return kind === 'file' ? FILE_LIFETIME_MS : CONTENTS_LIFETIME_MS;
}

/** The extended attributes that tell what something is at the service. */
export function serviceAttributes(
  syncpointId: SyncpointId,
  ...more: readonly (readonly [name: string, value: string])[]
): ReadonlyMap<string, string> {
  const all: readonly (readonly [string, string])[] = [['syncpoint_id', syncpointId], ...more];
  return new Map(all.map(([name, value]) => [`user.syncplicity.${name}`, value]));
}
