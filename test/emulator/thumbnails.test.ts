// Thumbnails of the emulator over HTTP: which files have one in which dialect, the calls behind the addresses, and their refusals.
import { afterEach, describe, expect, test } from 'vitest';
import type { Dialect } from '../../src/emulator/dialect.ts';
import { get, getJson } from './client.ts';
import { fileNamed, Services, storeKinds } from './stores.ts';
import type { Service } from './stores.ts';
import { upload } from './upload-client.ts';

const services = new Services();
afterEach(() => services.stop());

async function filled(dialect: Partial<Dialect> = {}, kind: 'memory' | 'directory' = 'memory'): Promise<Service> {
  const service = await services.start(kind, { dialect });
  for (const name of ['a.png', 'b.JPEG', 'c.txt']) await upload(service, `\\${name}`, name);
  return service;
}

/** ThumbnailUrl by name, as folder.svc tells it. */
async function addresses({ session, syncpointId, rootFolderId }: Service): Promise<Record<string, string | undefined>> {
  const path = `/sync/folder.svc/${syncpointId}/folder/${rootFolderId}?include=active`;
  const { Files } = (await getJson(session, path)) as { Files: { Filename: string; ThumbnailUrl?: string }[] };
  return Object.fromEntries(Files.map(({ Filename, ThumbnailUrl }) => [Filename, ThumbnailUrl]));
}

describe.each(storeKinds)('the %s store', (kind) => {
  test('tells of pictures of pictures, and gives them to whoever may call', async () => {
    const service = await filled({}, kind);
    const { session } = service;
    const { id } = await fileNamed(service, 'a.png');
    const url = `${session.emulator.gatewayUrl}/sync/thumbnail.svc/${service.syncpointId}/file/${id}`;
    const told = await addresses(service);
    expect(told).toMatchObject({ 'a.png': url, 'c.txt': undefined });
    expect(told['b.JPEG']).toMatch(/\/sync\/thumbnail\.svc\//);
    const reply = await fetch(url, { headers: session.headers });
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'image/jpeg']);
    expect(Buffer.from(await reply.arrayBuffer()).subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]));
    expect((await fetch(url)).status).toBe(401);
    expect(session.emulator.calls().byEndpoint['thumbnail']).toBe(2);
  });
});

test('the call refuses what has no picture', async () => {
  const service = await filled();
  const { session, syncpointId } = service;
  const { id } = await fileNamed(service, 'c.txt');
  const status = async (path: string): Promise<number> => (await get(session, `/sync/thumbnail.svc/${path}`)).status;
  expect(await status(`${syncpointId}/file/${id}`)).toBe(404);
  expect(await status(`${syncpointId}/file/99999`)).toBe(404);
  expect(await status(`${syncpointId}/file/x`)).toBe(404);
  expect(await status(`99999/file/${id}`)).toBe(404);
  expect(await status(`x/file/${id}`)).toBe(400);
});

test('a vault wants credentials, another server none', async () => {
  const atVault = await filled({ thumbnails: 'vault', thumbnailFormat: 'png' });
  const url = (await addresses(atVault))['a.png'] ?? '';
  expect(url.startsWith(`${atVault.session.emulator.vaultUrl}/thumbnail.php?`)).toBe(true);
  expect((await fetch(url)).status).toBe(401);
  const reply = await fetch(url, { headers: atVault.session.headers });
  expect(reply.headers.get('content-type')).toBe('image/png');

  const elsewhere = await filled({ thumbnails: 'elsewhere' });
  const keyed = (await addresses(elsewhere))['a.png'] ?? '';
  expect(new URL(keyed).hostname).toBe('localhost');
  expect((await fetch(keyed)).status).toBe(200);
  expect((await fetch(keyed, { headers: elsewhere.session.headers })).status).toBe(400);
  expect((await fetch(keyed.replace(/key=.*/, 'key=guessed'))).status).toBe(403);
  // Neither is there in the other's dialect.
  expect((await fetch(`${elsewhere.session.emulator.vaultUrl}/thumbnail.php?syncpoint=1&file=1`)).status).toBe(404);
});

test('an address may be a path alone, or be missing', async () => {
  expect((await addresses(await filled({ thumbnails: 'relative' })))['a.png']).toMatch(/^\/sync\/thumbnail\.svc\//);
  expect((await addresses(await filled({ thumbnails: 'absent' })))['a.png']).toBeUndefined();
});
