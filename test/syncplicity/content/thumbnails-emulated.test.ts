// Pictures of files against the emulator in every dialect: what a listing tells of is fetched, wherever it is.
import { afterEach, describe, expect, it } from 'vitest';
import { dialects, type DialectName } from '../../../src/emulator/dialect.ts';
import { MemoryStore } from '../../../src/emulator/memory-store.ts';
import { pictureColour } from '../../../src/emulator/thumbnails.ts';
import type { FolderId, SyncpointId } from '../../../src/remote-drive.ts';
import { decodeImage } from '../../../src/thumbnails/image.ts';
import { emulatedService, type EmulatedService } from './emulated.ts';

let service: EmulatedService | undefined;
afterEach(async () => {
  await service?.stop();
  service = undefined;
});

describe.each(Object.keys(dialects) as DialectName[])('%s', (name) => {
  const dialect = dialects[name];

  it('pictures are told of and fetched', async () => {
    const store = new MemoryStore();
    const { id, rootFolderId } = store.addSyncpoint('Photos');
    const files = ['a.png', 'b.JPG'].map((file) => store.addFile(id, rootFolderId, file, Buffer.from(file)));
    store.addFile(id, rootFolderId, 'letter.txt', Buffer.from('x'));
    store.addFolder(id, rootFolderId, 'folder.png');
    service = await emulatedService(store, dialect);
    const { api, emulator } = service;
    const { thumbnails } = api.drive;
    const folderId = String(BigInt(rootFolderId) + dialect.idBase) as FolderId;
    const listed = await thumbnails.list({ syncpointId: String(id) as SyncpointId, folderId });
    const byName = [...listed].sort((a, b) => (a.name < b.name ? -1 : 1));
    if (dialect.thumbnails === 'absent') {
      expect(listed).toEqual([]);
      return;
    }
    expect(byName.map((one) => one.name)).toEqual(['a.png', 'b.JPG']);
    for (const [index, one] of byName.entries()) {
      const { width, height, data } = await decodeImage(await thumbnails.fetch(one, undefined));
      expect([width, height]).toEqual([40, 40]);
      pictureColour(files[index]?.versionId ?? 0).forEach((value, channel) => {
        expect(Math.abs((data[channel] as number) - value)).toBeLessThan(8);
      });
    }
    const { byEndpoint } = emulator.calls();
    expect(byEndpoint['file']).toBeUndefined();
    expect((byEndpoint['thumbnail'] ?? 0) + (byEndpoint['vaultThumbnail'] ?? 0) + (byEndpoint['picture'] ?? 0)).toBe(2);
  });
});

it('in a folder of many pages are all told of', async () => {
  const store = new MemoryStore();
  const { id, rootFolderId } = store.addSyncpoint('Photos');
  for (let index = 0; index < 2_500; index += 1) store.addFile(id, rootFolderId, `${index}.png`, Buffer.from('x'));
  service = await emulatedService(store, dialects['paged-inclusive']);
  const folder = { syncpointId: String(id) as SyncpointId, folderId: String(rootFolderId) as FolderId };
  const listed = await service.api.drive.thumbnails.list(folder);
  expect(new Set(listed.map(({ fileId }) => fileId)).size).toBe(2_500);
});
