// Shared links over real HTTP: what is sent, every spelling of the replies, the documents' limits, and that no password comes back out.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SyncpointId } from '../../../src/remote-drive.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';
import { createLinks, deleteLink, listLinks, showLink, updateLink } from '../../../src/syncplicity/content/links.ts';
import { FixtureServer, reply } from '../fixture-server.ts';

const password = 'pass-of-the-link';
let server: FixtureServer;
let api: ContentApi;

beforeEach(async () => {
  server = await FixtureServer.start();
  const credentials = { clientId: 'key', clientSecret: 'secret-of-app', appToken: 'app-token-1' };
  const members = [{ credentials, apiUrl: server.url }] as const;
  const budget = { perSecond: 0, perHour: 0 };
  api = await openContentApi({ members, proxyEnvironment: {}, retries: { delayMs: 1 }, budget }, {});
});
afterEach(async () => {
  await api.stop();
  await server.stop();
});

function answer(path: string, status: number, body: unknown): void {
  server.routes.push((request, response) => (request.path === path ? reply(response, status, body) : false));
}

const object = (name: string) => ({ syncpointId: '7' as SyncpointId, kind: 'file' as const, names: ['dir', name] });

describe('links', () => {
  it.each(['ShareLinkPolicy', 'SharedLinkPolicy', 'SharedLinkPlicy', 'sharelinkpolicy'])(
    'are read with %s',
    async (key) => {
      answer('/syncpoint/links.svc/', 200, [{ Token: 't', [key]: '2', PasswordProtectPolicy: 2, Password: password }]);
      const [link] = await listLinks(api, {});
      expect(link).toMatchObject({ token: 't', policy: 'internal', hasPassword: true });
      expect(JSON.stringify(link)).not.toContain(password);
    },
  );

  it('are made a hundred a call', async () => {
    answer('/syncpoint/links.svc/', 200, [{ Token: 't' }]);
    const objects = Array.from({ length: 201 }, (_, index) => object(`${index}.txt`));
    expect(await createLinks(api, objects, { policy: 'all' }, {})).toHaveLength(3);
    expect(server.count('/syncpoint/links.svc/')).toBe(3);
  });

  it('are listed by the ten thousand', async () => {
    const many = Array.from({ length: 10_000 }, (_, index) => ({ Token: `t${index}`, DownloadUrl: 'https://x.test/' }));
    answer('/syncpoint/links.svc/', 200, many);
    expect(await listLinks(api, {})).toHaveLength(10_000);
  });

  it.each([
    [403, 'spVirtualFolderGetById did not return a result when one was expected'],
    [400, 'Password policy Prohibits sharing'],
    [406, 'Policy Prohibits Sharing'],
  ])('are refused in one line without the password: %i', async (status, text) => {
    answer('/syncpoint/links.svc/', status, { StatusCode: status, StatusDescription: `${text} ${password}` });
    const failed = createLinks(api, [object('a')], { policy: 'all', password }, {});
    await expect(failed).rejects.toThrow(text);
    await expect(failed).rejects.toThrow('[secret]');
    await expect(failed).rejects.not.toThrow(password);
  });

  it('say that a token is not known', async () => {
    answer('/syncpoint/link.svc/t', 404, { StatusCode: 404, StatusDescription: 'Token Not found' });
    for (const failed of [showLink(api, 't', {}), updateLink(api, 't', { message: 'm' }, {}), deleteLink(api, 't', {})])
      await expect(failed).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('show nothing of a reply that is not JSON', async () => {
    answer('/syncpoint/link.svc/t', 200, `Password: ${password}`);
    await expect(showLink(api, 't', {})).rejects.not.toThrow(password);
  });
});
