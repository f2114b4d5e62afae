// Folder listings where the one-call form is missing: both shapes of Folders GET, every meaning of paging, lengths left out.
import { afterEach, expect, test } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import type { FolderId, RemoteEntry, SyncpointId } from '../../src/remote-drive.ts';
import type { SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { FixtureServer, reply } from './fixture-server.ts';
import type { Recorded, Route } from './fixture-server.ts';

let server: FixtureServer;
afterEach(() => server.stop());

interface Folder {
  readonly files: readonly Record<string, unknown>[];
  readonly folders: readonly Record<string, unknown>[];
}

function folderOf(fileCount: number, folderCount: number): Folder {
  return {
    files: Array.from({ length: fileCount }, (_, index) => ({
      FileId: 1000 + index,
      Filename: `f${index}`,
      Length: index,
      LatestVersionId: 5000 + index,
      Status: 1,
    })),
    folders: Array.from({ length: folderCount }, (_, index) => ({
      FolderId: 200_000 + index,
      Name: `d${index}`,
      Status: 1,
      Files: [],
      Folders: [],
    })),
  };
}

const nothing = { StatusCode: 404, StatusDescription: 'Not Found' };
const lacksFolderCall =
  (status: number): Route =>
  (request, response) =>
    request.path.startsWith('/sync/folder.svc/') && reply(response, status, status === 404 ? nothing : '');

type Paging = 'exclusive' | 'inclusive' | 'ignored-offset' | 'ignored-limit' | 'capped' | 'position-of-id';

function page(
  all: readonly Record<string, unknown>[],
  id: string,
  last: string | null,
  request: Recorded,
  paging: Paging,
): readonly Record<string, unknown>[] {
  const asked = Number(request.query.get('limit') ?? Infinity);
  const limit = paging === 'ignored-limit' ? Infinity : paging === 'capped' ? Math.min(asked, 100) : asked;
  let start = 0;
  if (last !== null && paging !== 'ignored-offset') {
    start = all.findIndex((entry) => String(entry[id]) === last) + (paging === 'inclusive' ? 0 : 1);
  }
  return all.slice(start, start + limit);
}

const pagedCalls =
  (folder: Folder, shape: 'array' | 'object' | 'object-with-files', paging: Paging): Route =>
  (request, response) => {
    if (request.path.startsWith('/sync/folder_folders.svc/')) {
      const Folders = page(folder.folders, 'FolderId', request.query.get('last_folder_id'), request, paging);
      if (shape === 'array') return reply(response, 200, Folders);
      const Files = shape === 'object-with-files' ? folder.files : [];
      return reply(response, 200, { SyncpointId: 1, FolderId: 2, Files, Folders });
    }
    return (
      request.path.startsWith('/sync/folder_files.svc/') &&
      reply(response, 200, page(folder.files, 'FileId', request.query.get('offset'), request, paging))
    );
  };

async function list(drive: SyncplicityDrive): Promise<RemoteEntry[]> {
  const entries: RemoteEntry[] = [];
  for await (const batch of drive.list('1' as SyncpointId, '2' as FolderId)) {
    expect(batch.length).toBeLessThanOrEqual(1000);
    entries.push(...batch);
  }
  return entries;
}

function expectWhole(entries: readonly RemoteEntry[], folder: Folder): void {
  const ids = entries.map((entry) => `${entry.kind} ${entry.id}`).sort();
  expect(ids).toEqual(
    [
      ...folder.files.map((file) => `file ${String(file['FileId'])}`),
      ...folder.folders.map((sub) => `folder ${String(sub['FolderId'])}`),
    ].sort(),
  );
}

const pagings: readonly Paging[] = ['exclusive', 'inclusive', 'ignored-limit', 'capped', 'position-of-id'];
const sizes: readonly (readonly [number, number])[] = [
  [0, 0],
  [3, 2],
  [1000, 1000],
  [2501, 1999],
  [100, 20],
];

test.each(pagings.flatMap((paging) => sizes.map(([files, folders]) => [paging, files, folders] as const)))(
  'paging %s: %d files and %d folders come once each',
  async (paging, files, folders) => {
    const folder = folderOf(files, folders);
    server = await FixtureServer.start(lacksFolderCall(405), pagedCalls(folder, 'array', paging));
    expectWhole(await list(server.drive({ budget: { perSecond: 1000 } })), folder);
    expect(server.requests.length).toBeLessThan(60);
  },
);

test.each(['object', 'object-with-files'] as const)('Folders GET as %s', async (shape) => {
  const folder = folderOf(7, 5);
  server = await FixtureServer.start(lacksFolderCall(404), pagedCalls(folder, shape, 'exclusive'));
  expectWhole(await list(server.drive()), folder);
  expect(server.count('/sync/folder_files.svc')).toBe(shape === 'object' ? 1 : 0);
});

test('an offset that is not looked at: everything at once, or an error, never a part', async () => {
  const folder = folderOf(1500, 3);
  server = await FixtureServer.start(lacksFolderCall(405), pagedCalls(folder, 'array', 'ignored-offset'));
  expectWhole(await list(server.drive()), folder);
  server.routes.unshift(
    (request, response) =>
      request.path.startsWith('/sync/folder_files.svc/') && reply(response, 200, folder.files.slice(0, 1000)),
  );
  await expect(list(server.drive())).rejects.toMatchObject({ kind: 'protocol' });
});

test('a missing call is remembered after three proofs', async () => {
  const folder = folderOf(2, 1);
  server = await FixtureServer.start(lacksFolderCall(404), pagedCalls(folder, 'array', 'exclusive'));
  const drive = server.drive({ budget: { perSecond: 1000 } });
  for (let round = 0; round < 5; round += 1) expectWhole(await list(drive), folder);
  expect(server.count('/sync/folder.svc')).toBe(3);
  expect(drive.statistics().capabilities.folderListing).toBe('folder_folders.svc');
});

test.each([
  [404, { StatusDescription: 'Unknown Folder Id' }],
  [400, { StatusDescription: 'Invalid Folder ID' }],
  [404, { StatusDescription: 'SyncPoint Does Not Exist' }],
])('a folder that is gone (%d %j) is not-found after one call', async (status, body) => {
  server = await FixtureServer.start(
    (request, response) => request.path.startsWith('/sync/folder.svc/') && reply(response, status, body),
  );
  await expect(list(server.drive())).rejects.toMatchObject({ kind: 'not-found' });
  expect(server.count('/sync/')).toBe(1);
});

test('a 404 that names nothing and is confirmed by Folders GET is not-found, and proves nothing', async () => {
  server = await FixtureServer.start();
  const drive = server.drive({ budget: { perSecond: 1000 } });
  for (let round = 0; round < 4; round += 1) await expect(list(drive)).rejects.toMatchObject({ kind: 'not-found' });
  expect(server.count('/sync/folder.svc')).toBe(4);
});

test('lengths that no entry has are asked for file by file', async () => {
  const folder = folderOf(3, 0);
  const files = folder.files.map((file) => ({ ...file, Length: undefined }));
  server = await FixtureServer.start(
    lacksFolderCall(405),
    pagedCalls({ ...folder, files }, 'array', 'exclusive'),
    (request, response) => {
      const file = folder.files.find((one) => request.path === `/sync/file.svc/1/file/${String(one['FileId'])}`);
      return file !== undefined && reply(response, 200, file);
    },
  );
  expect((await list(server.drive())).map((entry) => entry.kind === 'file' && entry.lengthBytes)).toEqual([0, 1, 2]);
  expect(server.count('/sync/file.svc')).toBe(3);
});

test('a length that was asked for once is known of that version', async () => {
  const folder = folderOf(3, 0);
  const unlike: { versions: Record<string, unknown>[] } = {
    versions: folder.files.map((file) => ({ ...file, Length: undefined })),
  };
  server = await FixtureServer.start(
    lacksFolderCall(405),
    (request, response) => pagedCalls({ files: unlike.versions, folders: [] }, 'array', 'exclusive')(request, response),
    (request, response) => {
      const file = folder.files.find((one) => request.path === `/sync/file.svc/1/file/${String(one['FileId'])}`);
      // Stored once more since the folder was listed.
      const isNewer = file?.['FileId'] === 1001;
      return file !== undefined && reply(response, 200, isNewer ? { ...file, LatestVersionId: 7, Length: 70 } : file);
    },
  );
  const drive = server.drive();
  const lengths = async (): Promise<unknown[]> =>
    (await list(drive)).map((entry) => entry.kind === 'file' && [entry.versionId, entry.lengthBytes]);
  expect(await lengths()).toEqual([
    ['5000', 0],
    ['7', 70],
    ['5002', 2],
  ]);
  unlike.versions = unlike.versions.map((file) => (file['FileId'] === 1001 ? { ...file, LatestVersionId: 7 } : file));
  expect(await lengths()).toEqual([
    ['5000', 0],
    ['7', 70],
    ['5002', 2],
  ]);
  expect(server.count('/sync/file.svc')).toBe(3);
});

test('what one call tells of lengths says nothing of those that another call leaves out', async () => {
  const folder = folderOf(3, 0);
  let isAway = false;
  server = await FixtureServer.start(
    (request, response) =>
      request.path.startsWith('/sync/folder.svc/') &&
      (isAway ? reply(response, 404, nothing) : reply(response, 200, { FolderId: 2, Files: folder.files })),
    pagedCalls(
      { ...folder, files: folder.files.map((file) => ({ ...file, Length: undefined })) },
      'array',
      'exclusive',
    ),
    (request, response) => {
      const file = folder.files.find((one) => request.path === `/sync/file.svc/1/file/${String(one['FileId'])}`);
      return file !== undefined && reply(response, 200, file);
    },
  );
  const drive = server.drive();
  await list(drive);
  isAway = true;
  expect((await list(drive)).map((entry) => entry.kind === 'file' && entry.lengthBytes)).toEqual([0, 1, 2]);
});

test('a file that is gone when its length is asked for does not make its folder one that is gone', async () => {
  const folder = folderOf(2, 0);
  server = await FixtureServer.start(
    lacksFolderCall(405),
    pagedCalls(
      { ...folder, files: folder.files.map((file) => ({ ...file, Length: undefined })) },
      'array',
      'exclusive',
    ),
    (request, response) => request.path.startsWith('/sync/file.svc/') && reply(response, 404, 'File Not Found'),
  );
  await expect(list(server.drive())).rejects.toMatchObject({ kind: 'protocol' });
});

test('a length left out among others is zero', async () => {
  const Files = [
    { FileId: 1, Filename: 'empty', LatestVersionId: 2 },
    { FileId: 3, Filename: 'x', LatestVersionId: 4, Length: 9 },
  ];
  server = await FixtureServer.start(
    (request, response) => request.path.startsWith('/sync/folder.svc/') && reply(response, 200, { FolderId: 2, Files }),
  );
  const entries = await list(server.drive());
  expect(entries.map((entry) => entry.kind === 'file' && [entry.name, entry.lengthBytes]).sort()).toEqual([
    ['empty', 0],
    ['x', 9],
  ]);
  expect(server.count('/sync/file.svc')).toBe(0);
});

test('folders that are empty do not prove that a call tells what others hold', async () => {
  const full = folderOf(2, 1);
  let folder: Folder = { files: [], folders: [] };
  server = await FixtureServer.start(
    (request, response) =>
      request.path.startsWith('/sync/folder.svc/') &&
      reply(response, 200, { FolderId: 2, Name: 'd', Files: [], Folders: [] }),
    (request, response) => pagedCalls(folder, 'array', 'exclusive')(request, response),
  );
  const drive = server.drive();
  for (let round = 0; round < 5; round += 1) expect(await list(drive)).toEqual([]);
  folder = full;
  for (let round = 0; round < 5; round += 1) expectWhole(await list(drive), full);
});

test('a reply that breaks off is asked for again, and no id comes twice', async () => {
  const folder = folderOf(5000, 10);
  const text = JSON.stringify({ FolderId: 2, Files: folder.files, Folders: folder.folders });
  let breaks = 2;
  server = await FixtureServer.start((request, response) => {
    if (!request.path.startsWith('/sync/folder.svc/')) return false;
    if (breaks-- <= 0) return reply(response, 200, text);
    response
      .writeHead(200, { 'content-length': text.length })
      .write(text.slice(0, text.length / 2), () => response.destroy());
    return true;
  });
  expectWhole(await list(server.drive()), folder);
  breaks = Infinity;
  await expect(list(server.drive())).rejects.toMatchObject({ kind: 'unavailable' });
});

test('who stops reading a listing gives the connection back', async () => {
  const folder = folderOf(5000, 0);
  const text = JSON.stringify({ FolderId: 2, Files: folder.files });
  let closed: () => void;
  const close = new Promise<void>((resolve) => (closed = resolve));
  server = await FixtureServer.start((request, response) => {
    if (!request.path.startsWith('/sync/folder.svc/')) return false;
    response.on('close', () => closed());
    response.writeHead(200).write(text.slice(0, -10));
    return true;
  });
  for await (const batch of server.drive().list('1' as SyncpointId, '2' as FolderId)) {
    expect(batch.length).toBeGreaterThan(0);
    break;
  }
  await close;
});

test('a server that refuses include=lastnewsfeedevent is asked without, from then on', async () => {
  server = await FixtureServer.start(
    (request, response) => {
      if (request.path !== '/syncpoint/syncpoints.svc/') return false;
      if (request.query.has('include')) return reply(response, 400, { StatusDescription: 'Invalid include' });
      return reply(response, 200, [
        { Id: 1, Name: 'no root', Permission: 1 },
        { Id: 2, Name: 'gone', Permission: 1 },
      ]);
    },
    (request, response) =>
      request.path === '/syncpoint/syncpoint.svc/1' &&
      reply(response, 200, { ID: 1, Name: 'no root', RootFolderID: 77, Permission: 1 }),
    (request, response) =>
      request.path === '/syncpoint/syncpoint.svc/2' &&
      reply(response, 403, { StatusDescription: 'User Not Authorized For Action' }),
  );
  const drive = server.drive();
  expect((await drive.syncpoints()).map(({ id, rootFolderId }) => [id, rootFolderId])).toEqual([['1', '77']]);
  await drive.syncpoints();
  expect(server.requests.filter((request) => request.query.has('include'))).toHaveLength(1);
  expect(drive.statistics().capabilities.lastEvent).toBe(false);
});

test('errors of the wrong shape name the call', async () => {
  server = await FixtureServer.start(
    (request, response) => request.path === '/syncpoint/syncpoints.svc/' && reply(response, 200, { a: 1 }),
  );
  const error: unknown = await server
    .drive()
    .syncpoints()
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(RemoteError);
  expect(error).toMatchObject({ kind: 'protocol', message: 'syncpoints.svc GET: the reply is not an array' });
});
