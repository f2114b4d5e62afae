// Nodes beside the tree live exactly as long as somebody holds them.
import { expect, it } from 'vitest';
import { FIRST_HISTORY_NUMBER, HistoryNodes, type Unplaced } from '../../../src/fs-ops/history/nodes.ts';
import type { SyncpointId } from '../../../src/remote-drive.ts';

const make = (): Unplaced => ({
  kind: 'directory',
  parentInode: 1,
  path: '/x',
  modified: { seconds: 0, nanoseconds: 0 },
  about: { kind: 'versions', directory: 1, syncpointId: '1' as SyncpointId },
});

it('are the same while held, by lookups and handles, and gone after the last', () => {
  const nodes = new HistoryNodes();
  const value = nodes.place('a', make);
  expect(value.node).toBe(FIRST_HISTORY_NUMBER);
  expect([nodes.get(value.node), nodes.count]).toEqual([undefined, 0]);
  nodes.hold('a', value);
  nodes.hold('a', value);
  nodes.hold('a', nodes.place('a', make));
  expect(nodes.place('a', make)).toBe(value);
  nodes.letGo(value.node, 2);
  expect(nodes.get(value.node)).toBe(value);
  nodes.letGo(value.node, 1);
  expect([nodes.get(value.node), nodes.count]).toEqual([undefined, 0]);
  nodes.letGo(value.node, 1);
  expect(nodes.place('a', make).node).toBeGreaterThan(value.node);
});
