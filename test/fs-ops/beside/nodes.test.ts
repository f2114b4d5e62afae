// Nodes beside the tree live exactly as long as somebody holds them.
import { expect, it } from 'vitest';
import { FIRST_BESIDE_NUMBER, BesideNodes, type Unplaced } from '../../../src/fs-ops/beside/nodes.ts';

const value: Unplaced = {
  kind: 'directory',
  parentInode: 1,
  path: '/x',
  folder: 1,
  modified: { seconds: 0, nanoseconds: 0 },
  extendedAttributes: new Map(),
  contents: { items: () => [] },
};

it('are the same while held, by lookups and handles, and gone after the last', () => {
  const nodes = new BesideNodes();
  const placed = nodes.place('a', value);
  expect(placed.node).toBe(FIRST_BESIDE_NUMBER);
  expect([nodes.get(placed.node), nodes.count]).toEqual([undefined, 0]);
  nodes.hold('a', placed);
  nodes.hold('a', placed);
  nodes.hold('a', nodes.place('a', value));
  expect(nodes.place('a', value)).toBe(placed);
  nodes.letGo(placed.node, 2);
  expect(nodes.get(placed.node)).toBe(placed);
  nodes.letGo(placed.node, 1);
  expect([nodes.get(placed.node), nodes.count]).toEqual([undefined, 0]);
  nodes.letGo(placed.node, 1);
  expect(nodes.place('a', value).node).toBeGreaterThan(placed.node);
});
