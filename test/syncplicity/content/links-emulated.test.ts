// The client's calls about shared links against the emulator in every dialect: what is made is found again, and what was not made is told.
import { afterEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { MemoryStore } from '../../../src/emulator/memory-store.ts';
import type { FileId, SyncpointId } from '../../../src/remote-drive.ts';
import {
  createLinks,
  deleteLink,
  type LinkedObject,
  listLinks,
  showLink,
  updateLink,
} from '../../../src/syncplicity/content/links.ts';
import { emulatedService, type EmulatedService } from './emulated.ts';

let service: EmulatedService | undefined;
afterEach(async () => {
  await service?.stop();
  service = undefined;
});

const names = Object.keys(dialects) as DialectName[];

describe.each(names)('%s', (name) => {
  const dialect = dialects[name];

  it('makes, finds, changes and revokes', async () => {
    const store = new MemoryStore();
    const { id, rootFolderId } = store.addSyncpoint('Projects');
    const folder = store.addFolder(id, rootFolderId, 'Übung');
    const files = ['a.txt', 'b.txt'].map((file) => store.addFile(id, folder.id, file, Buffer.from(file)));
    service = await emulatedService(store, dialect);
    const { api } = service;
    const syncpointId = String(id) as SyncpointId;
    const objects: LinkedObject[] = files.map((file) => ({
      syncpointId,
      kind: 'file',
      names: ['Übung', file.name],
      fileId: String(BigInt(file.id) + dialect.idBase) as FileId,
    }));
    const all: LinkedObject[] = [...objects, { syncpointId, kind: 'folder', names: ['Übung'] }];
    const settings = { policy: 'all', password: 'secret', expiresInDays: 3, users: ['a@example.com'] } as const;
    const tokens: string[] = [];
    for await (const { made, without } of createLinks(api, all, settings, {})) {
      expect(without).toEqual([]);
      expect(made.map(({ object }) => object)).toEqual(all);
      tokens.push(...made.map(({ link }) => link.token));
    }
    const listed = await listLinks(api, {}, {});
    expect(listed.map(({ token }) => token)).toEqual(tokens);
    for (const link of listed) {
      expect(link).toMatchObject({ policy: 'all', hasPassword: true, expiresInDays: 3, users: ['a@example.com'] });
      expect(link).toMatchObject({ isExpired: false, syncpointId, outlookPolicy: 'all' });
      expect(Math.abs((link.shared?.seconds ?? 0) * 1000 - Date.now())).toBeLessThan(60_000);
    }
    const [token = ''] = tokens;
    const of = await listLinks(api, { of: objects[0] }, {});
    expect(of.map((link) => link.token)).toEqual([token]);
    await updateLink(api, token, { policy: 'internal', password: '', expiresInDays: 0, message: 'm' }, {});
    expect(await showLink(api, token, {})).toMatchObject({
      policy: 'internal',
      hasPassword: false,
      expiresInDays: undefined,
      message: 'm',
      users: ['a@example.com'],
    });
    for (const one of tokens) await deleteLink(api, one, {});
    await expect(showLink(api, token, {})).rejects.toMatchObject({ kind: 'not-found' });
    expect(await listLinks(api, {}, {})).toEqual([]);
  });

  it('tells what was not made', async () => {
    const store = new MemoryStore();
    const { id, rootFolderId } = store.addSyncpoint('Projects');
    store.addFile(id, rootFolderId, 'there', Buffer.from('x'));
    service = await emulatedService(store, dialect);
    const syncpointId = String(id) as SyncpointId;
    const objects = ['gone', 'there'].map((file) => ({ syncpointId, kind: 'file' as const, names: [file] }));
    const { api } = service;
    // Where a reply tells nothing of what it is for, nobody can say which is missing.
    const tells = dialect.linkPaths !== 'absent' || dialect.linkFile === 'object';
    const making = (async () => {
      for await (const { made, without } of createLinks(api, objects, { policy: 'internal' }, {})) {
        expect(made.map(({ object }) => object)).toEqual([tells ? objects[1] : undefined]);
        expect(without).toEqual(tells ? [objects[0]] : objects);
      }
    })();
    if (dialect.linkNotMade === 'refused') await expect(making).rejects.toMatchObject({ kind: 'not-found' });
    else await making;
  });
});

it.each([
  ['ignored', 0],
  ['file_id', 1],
] as const)('links that tell nothing of their file, from a service with the filter %s', async (linkFilter, count) => {
  const store = new MemoryStore();
  const { id, rootFolderId } = store.addSyncpoint('Projects');
  const file = store.addFile(id, rootFolderId, 'a', Buffer.from('x'));
  service = await emulatedService(store, { linkPaths: 'absent', linkFile: 'text', linkFilter });
  const fileId = String(file.id) as FileId;
  const object = { syncpointId: String(id) as SyncpointId, kind: 'file' as const, names: ['a'], fileId };
  for await (const { made } of createLinks(service.api, [object], { policy: 'all' }, {})) expect(made).toHaveLength(1);
  // That it is the only one does not make it the file's.
  expect(await listLinks(service.api, { of: object }, {})).toHaveLength(count);
});
