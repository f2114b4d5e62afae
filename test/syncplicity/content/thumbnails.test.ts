// Pictures of files over real HTTP against canned replies: where requests go, who is told of the account, and what may come back.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileId, FolderId, RemoteThumbnail, SyncpointId, VaultId, VersionId } from '../../../src/remote-drive.ts';
import { addressOf } from '../../../src/syncplicity/content/thumbnails.ts';
import type { SyncplicityDrive } from '../../../src/syncplicity/drive.ts';
import { failure } from '../failure.ts';
import { FixtureServer, reply, vaultId, type Recorded } from '../fixture-server.ts';

const folder = { syncpointId: '7' as SyncpointId, folderId: '8' as FolderId };
const picture = Buffer.from('picture');

let server: FixtureServer;
let drive: SyncplicityDrive;
let other: Server;
let otherUrl: string;
let atOther: IncomingMessage[];
let otherReply: { readonly status: number; readonly body: string };

beforeEach(async () => {
  server = await FixtureServer.start((request, response) => {
    if (!request.path.startsWith('/thumb')) return false;
    response.writeHead(200, { 'content-type': 'image/png' }).end(picture);
    return true;
  });
  drive = server.drive();
  atOther = [];
  otherReply = { status: 200, body: 'elsewhere' };
  other = createServer((request, response) => {
    atOther.push(request);
    response.writeHead(otherReply.status).end(otherReply.body);
  });
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  otherUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
});

afterEach(async () => {
  await server.stop();
  other.closeAllConnections();
  await new Promise((resolve) => other.close(resolve));
});

const at = (url: string): RemoteThumbnail => {
  return { fileId: '21' as FileId, versionId: '31' as VersionId, name: 'a.png', url };
};
const fetch = async (url: string, vault?: VaultId): Promise<string> =>
  Buffer.from(await drive.thumbnails.fetch(at(url), vault)).toString();
const asked = (path: string): Recorded[] => server.requests.filter((request) => request.path.startsWith(path));

describe('a listing', () => {
  const file = (id: number, more: object): object => ({
    FileId: id,
    Filename: `${id}.png`,
    LatestVersionId: id + 100,
    ...more,
  });

  it('tells of the files that have a picture, by one call', async () => {
    server.routes.unshift((request, response) => {
      if (!request.path.startsWith('/sync/folder.svc/7/folder/8')) return false;
      return reply(response, 200, {
        FolderId: 8,
        Files: [
          file(1, { ThumbnailUrl: '/thumb/1' }),
          file(2, { ThumbnailUrl: '' }),
          file(3, { ThumbnailUrl: null }),
          file(4, { thumbnailurl: ' https://pictures.example/4 ' }),
          file(5, { ThumbnailUrl: { Url: 'x' } }),
          file(6, { ThumbnailUrl: '/thumb/6', Status: 3 }),
        ],
        Folders: [{ FolderId: 9, Name: 'below', ThumbnailUrl: '/thumb/9' }],
      });
    });
    expect(await drive.thumbnails.list(folder)).toEqual([
      { fileId: '1', versionId: '101', name: '1.png', url: '/thumb/1' },
      { fileId: '4', versionId: '104', name: '4.png', url: 'https://pictures.example/4' },
    ]);
    // Lengths, which these entries lack, are nobody's business here.
    expect(asked('/sync/')).toHaveLength(1);
  });

  it('gives nobody else the addresses', async () => {
    server.routes.unshift((request, response) => {
      if (!request.path.startsWith('/sync/')) return false;
      const entry = file(1, { ThumbnailUrl: '/thumb/1', Length: 5 });
      return reply(response, 200, request.path.startsWith('/sync/file.svc') ? entry : { FolderId: 8, Files: [entry] });
    });
    const entries: object[] = [];
    for await (const batch of drive.list(folder.syncpointId, folder.folderId)) entries.push(...batch);
    entries.push(await drive.file(folder.syncpointId, '1' as FileId));
    expect(entries).toHaveLength(2);
    expect(JSON.stringify(entries)).not.toMatch(/thumb/i);
  });
});

describe('a picture', () => {
  it.each([
    ['by its whole address', (): string => `${server.url}/thumb?x=1`],
    ['by its path', (): string => '/thumb?x=1'],
  ])('at the gateway %s is a call, with credentials', async (_name, url) => {
    expect(await fetch(url())).toBe('picture');
    const [request] = asked('/thumb');
    expect(request?.headers).toMatchObject({ appkey: 'key-1', authorization: 'Bearer tok-1' });
    expect(request?.url).toBe('/thumb?x=1');
    expect(drive.statistics().byEndpoint).toMatchObject({ 'thumbnail GET': 1 });
    expect(drive.statistics().total).toBe(2);
    expect(asked('/storage')).toEqual([]);
  });

  it('at a vault that the gateway named is no call, and gets credentials', async () => {
    const vault = { Id: vaultId, Name: 'Far', Urls: [{ Url: `${otherUrl}/vault` }] };
    server.routes.unshift((request, response) =>
      request.path.startsWith('/storage/storageendpoints') ? reply(response, 200, [vault]) : false,
    );
    expect(await fetch(`${otherUrl}/any/path`)).toBe('elsewhere');
    await fetch(`${otherUrl}/any/path`);
    expect(atOther.map(({ url }) => url)).toEqual(['/any/path', '/any/path']);
    expect(atOther[0]?.headers).toMatchObject({ appkey: 'key-1', authorization: 'Bearer tok-1' });
    // Signing in and the vaults.
    expect(drive.statistics().total).toBe(2);
  });

  it('at a vault that the list leaves out is known by the id of the vault', async () => {
    const far = '22222222-2222-2222-2222-222222222222' as VaultId;
    server.routes.unshift((request, response) =>
      request.path === `/storage/storageendpoint.svc/${far}`
        ? reply(response, 200, { Id: far, Name: 'Far', Urls: [{ Url: otherUrl }] })
        : false,
    );
    await fetch(`${otherUrl}/x`, far);
    expect(atOther[0]?.headers.authorization).toBe('Bearer tok-1');
  });

  it('at a vault is asked for with another token where the first is refused', async () => {
    server.routes.unshift((request, response) =>
      request.path.startsWith('/storage/storageendpoints')
        ? reply(response, 200, [{ Id: vaultId, Name: 'Far', Urls: [{ Url: otherUrl }] }])
        : false,
    );
    other.removeAllListeners('request');
    other.on('request', (request: IncomingMessage, response) => {
      atOther.push(request);
      response.writeHead(request.headers.authorization === 'Bearer tok-1' ? 401 : 200).end('late');
    });
    expect(await fetch(`${otherUrl}/x`)).toBe('late');
    expect(atOther.map(({ headers }) => headers.authorization)).toEqual(['Bearer tok-1', 'Bearer tok-2']);
  });

  it('elsewhere is fetched without a word about the account', async () => {
    expect(await fetch(`${otherUrl}/p.png?key=secret-key`)).toBe('elsewhere');
    const [request] = atOther;
    expect(request?.url).toBe('/p.png?key=secret-key');
    const told = JSON.stringify(request?.rawHeaders);
    for (const secret of ['tok-1', 'key-1', 'secret-1', 'app-token-1', 'Bearer']) expect(told).not.toContain(secret);
  });

  it('elsewhere that is refused is told of by its status alone', async () => {
    otherReply = { status: 403, body: 'no access to /p.png?key=secret-key' };
    const error = await failure(fetch(`${otherUrl}/p.png?key=secret-key`));
    expect(error).toMatchObject({ kind: 'forbidden' });
    expect(error.message).toContain('thumbnail GET: file 21: HTTP 403');
    expect(error.message).not.toContain('secret-key');
  });

  it('elsewhere is asked for again where the server is in trouble', async () => {
    otherReply = { status: 503, body: '' };
    await expect(fetch(`${otherUrl}/p.png`)).rejects.toMatchObject({ kind: 'unavailable' });
    expect(atOther.length).toBeGreaterThan(1);
  });

  it.each([
    ['ftp://127.0.0.1/p', 'is not https'],
    ['http://pictures.example/p', 'is not https'],
    ['file:///etc/passwd', 'is not https'],
    ['data:image/png;base64,AAAA', 'is not https'],
    ['https://me:pass@pictures.example/p', 'carries a user name or password'],
    ['http://[', 'is no URL'],
  ])('at %s is not fetched', async (url, why) => {
    const error = await failure(fetch(url));
    expect(error).toMatchObject({ kind: 'protocol' });
    expect(error.message).toBe(`thumbnail GET: file 21: its address ${why}`);
    expect(asked('/thumb')).toEqual([]);
  });

  it('on this machine is not fetched for a gateway that is elsewhere', () => {
    const gateway = new URL('https://gateway.example/');
    expect(() => addressOf('http://127.0.0.1/p', gateway, 'file 21')).toThrow('its address is not https');
    expect(addressOf('http://127.0.0.1/p#x', new URL(server.url), 'file 21').href).toBe('http://127.0.0.1/p');
    expect(addressOf('thumb/1', new URL('https://gateway.example/eu/'), 'file 21').href).toBe(
      'https://gateway.example/eu/thumb/1',
    );
  });

  it('is not followed to another address', async () => {
    server.routes.unshift((request, response) => {
      if (request.path !== '/thumb') return false;
      response.writeHead(302, { location: `${otherUrl}/stolen` }).end();
      return true;
    });
    await failure(fetch('/thumb'));
    expect(atOther).toEqual([]);
  });

  it('larger than a mebibyte is given up', async () => {
    const large = 'x'.repeat((1 << 20) + 1);
    server.routes.unshift((request, response) => (request.path === '/thumb' ? reply(response, 200, large) : false));
    await expect(fetch('/thumb')).rejects.toMatchObject({ kind: 'too-large' });
    otherReply = { status: 200, body: large };
    await expect(fetch(`${otherUrl}/p`)).rejects.toMatchObject({ kind: 'too-large' });
    otherReply = { status: 200, body: large.slice(1) };
    expect(await fetch(`${otherUrl}/p`)).toHaveLength(1 << 20);
  });

  it('that nobody waits for any more is given up at once', async () => {
    server.onHeaders = (request): unknown => (request.url === '/thumb' ? new Promise(() => undefined) : undefined);
    const ending = new AbortController();
    const fetching = drive.thumbnails.fetch(at('/thumb'), undefined, { signal: ending.signal });
    await expect.poll(() => drive.statistics().byEndpoint['thumbnail GET']).toBe(1);
    ending.abort(new Error('enough'));
    await expect(fetching).rejects.toThrow('enough');
  });
});
