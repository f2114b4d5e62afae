// The order of a directory's names in memory: by cookie, which grows with every name placed.
import type { NodeId } from '../../../src/fs-ops/operations.ts';

export interface Child {
  readonly node: NodeId;
  readonly cookie: number;
}

/** A sorted copy makes resuming cheap. */
const sorted = new WeakMap<Map<string, Child>, { size: number; last: number; rows: [string, Child][] }>();

/** The first rows behind a cookie. */
export function rowsBehind(children: Map<string, Child>, cookie: number): [string, Child][] {
  let index = sorted.get(children);
  const last = [...children.values()].reduce((most, child) => Math.max(most, child.cookie), 0);
  if (index === undefined || index.size !== children.size || index.last !== last) {
    const rows = [...children].sort(([, one], [, other]) => one.cookie - other.cookie);
    index = { size: children.size, last, rows };
    sorted.set(children, index);
  }
  let [low, high] = [0, index.rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((index.rows[middle] as [string, Child])[1].cookie <= cookie) low = middle + 1;
    else high = middle;
  }
  return index.rows.slice(low, low + 4096);
}
