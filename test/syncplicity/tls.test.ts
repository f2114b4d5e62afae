// TLS: certificates are verified, a further authority can be named, nothing older than TLS 1.2 is spoken.
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirSync } from 'tmp';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createSyncplicityDrive } from '../../src/syncplicity/drive.ts';
import type { SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import { localCertificate } from './certificate.ts';
import { lacks } from '../machine.ts';

const directory = dirSync({ unsafeCleanup: true });
let pem: { key: string; cert: string };
let server: Server | undefined;
let drive: SyncplicityDrive | undefined;

beforeAll(() => {
  pem = localCertificate(directory.name);
});
afterAll(() => directory.removeCallback());
afterEach(async () => {
  await drive?.stop();
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
});

async function start(
  options: { minVersion?: 'TLSv1.2' | 'TLSv1'; maxVersion?: 'TLSv1.1' | 'TLSv1.2' },
  ca?: string,
): Promise<SyncplicityDrive> {
  const made = createServer({ ...pem, ...options }, (_request, response) => {
    response.end(JSON.stringify({ access_token: 't', user_id: 'u' }));
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  drive = createSyncplicityDrive({
    credentials: { clientId: 'a', clientSecret: 'b', appToken: 'c' },
    apiUrl: `https://localhost:${(made.address() as AddressInfo).port}`,
    ca,
    proxyEnvironment: {},
    retries: { attempts: 1 },
  });
  return drive;
}

test.skipIf(lacks('openssl'))('a certificate nobody vouches for is refused, with what to do about it', async () => {
  await expect((await start({})).account()).rejects.toMatchObject({
    kind: 'unavailable',
    message: expect.stringMatching(/not trusted.*--ca-file/) as unknown,
  });
});

test.skipIf(lacks('openssl'))('a further authority is trusted', async () => {
  expect(await (await start({ maxVersion: 'TLSv1.2' }, pem.cert)).account()).toMatchObject({ userId: 'u' });
});

test.skipIf(lacks('openssl'))('nothing older than TLS 1.2 is spoken', async () => {
  await expect((await start({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }, pem.cert)).account()).rejects.toMatchObject(
    {
      kind: 'unavailable',
    },
  );
});
