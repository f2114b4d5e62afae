// Shared links over real HTTP against canned replies: what is sent, to the letter, every spelling of what comes back, the documents' limits,
// and that no password comes back out.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileId, SyncpointId } from '../../../src/remote-drive.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';
import {
  createLinks,
  type CreatedLinks,
  deleteLink,
  type LinkedObject,
  type LinkSettings,
  listLinks,
  showLink,
  updateLink,
} from '../../../src/syncplicity/content/links.ts';
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

/** The last request below the path, as it came. */
function sent(): string {
  const { method, url, body } = server.requests.at(-1) ?? { method: '', url: '', body: '' };
  return `${method} ${url} ${body}`;
}

const object = (name: string): LinkedObject => ({
  syncpointId: '7' as SyncpointId,
  kind: 'file' as const,
  names: ['dir', name],
});

async function create(
  objects: readonly LinkedObject[],
  settings: LinkSettings & { policy: 'all' | 'internal' | 'intended' },
  options: { sendsMail?: boolean } = {},
): Promise<CreatedLinks<LinkedObject>> {
  const all: { made: CreatedLinks<LinkedObject>['made'][number][]; without: LinkedObject[] } = {
    made: [],
    without: [],
  };
  for await (const { made, without } of createLinks(api, objects, settings, options)) {
    all.made.push(...made);
    all.without.push(...without);
  }
  return all;
}

describe('what is sent', () => {
  it('of a link that is made', async () => {
    answer('/syncpoint/links.svc/', 200, [{ Token: 't' }]);
    await create([object('a b.txt')], { policy: 'internal' });
    expect(sent()).toBe(
      String.raw`POST /syncpoint/links.svc/ [{"SyncPointId":7,"VirtualPath":"\\dir\\a b.txt","ShareLinkPolicy":2}]`,
    );
  });

  it('of a link with all that can be set, to be mailed', async () => {
    answer('/syncpoint/links.svc/', 200, [{ Token: 't' }]);
    const settings = {
      policy: 'intended',
      outlookPolicy: 'none',
      password,
      expiresInDays: 14,
      users: ['a@example.com', 'b@example.com'],
      groups: ['7dae61c7-bf7a-499b-8ede-6481aba49ac9'],
      message: 'see "this"\n会議',
    } as const;
    await create([object('Übung.txt')], settings, { sendsMail: true });
    expect(sent()).toBe(
      String.raw`POST /syncpoint/links.svc/?modifier=send_email [{"SyncPointId":7,"VirtualPath":"\\dir\\Übung.txt",` +
        String.raw`"ShareLinkPolicy":4,"PasswordProtectPolicy":2,"Password":"pass-of-the-link",` +
        String.raw`"Users":[{"EmailAddress":"a@example.com"},{"EmailAddress":"b@example.com"}],` +
        String.raw`"Groups":[{"Id":"7dae61c7-bf7a-499b-8ede-6481aba49ac9"}],"Message":"see \"this\"\n会議",` +
        String.raw`"OutlookShareLinkPolicy":1,"LinkExpirationPolicy":1,"LinkExpireInDays":14}]`,
    );
  });

  it.each([
    ['folder', ['a', 'b'], String.raw`\\a\\b\\`],
    ['syncpoint', [], String.raw`\\`],
    ['file', ['b'], String.raw`\\b`],
  ] as const)('of a %s below the root', async (kind, names, path) => {
    answer('/syncpoint/links.svc/', 200, [{ Token: 't' }]);
    await create([{ syncpointId: '7' as SyncpointId, kind, names }], { policy: 'all' });
    expect(sent()).toContain(`"VirtualPath":"${path}"`);
  });

  it.each<[LinkSettings, string]>([
    [{ policy: 'all' }, '{"ShareLinkPolicy":3}'],
    [{ password: 'x' }, '{"PasswordProtectPolicy":2,"Password":"x"}'],
    [{ password: '' }, '{"PasswordProtectPolicy":1}'],
    [{ expiresInDays: 0 }, '{"LinkExpirationPolicy":2}'],
    [{ expiresInDays: 3 }, '{"LinkExpirationPolicy":1,"LinkExpireInDays":3}'],
    [{ message: '' }, '{"Message":""}'],
    [{ outlookPolicy: 'intended' }, '{"OutlookShareLinkPolicy":4}'],
  ])('of a change: %j', async (settings, body) => {
    answer('/syncpoint/link.svc/t', 200, '');
    await updateLink(api, 't', settings, {});
    expect(sent()).toBe(`PUT /syncpoint/link.svc/t ${body}`);
    await updateLink(api, 't', settings, { sendsMail: true });
    expect(sent()).toBe(`PUT /syncpoint/link.svc/t?modifier=send_email ${body}`);
  });

  it('of the calls about links there are', async () => {
    answer('/syncpoint/links.svc/', 200, []);
    answer('/syncpoint/link.svc/a%2Fb%3F', 200, { Token: 'a/b?' });
    const seen: string[] = [];
    await listLinks(api, {}, {});
    seen.push(sent());
    await listLinks(api, { expired: true, of: { ...object('a'), fileId: '12' as FileId } }, {});
    seen.push(sent());
    await showLink(api, 'a/b?', {});
    seen.push(sent());
    await deleteLink(api, 'a/b?', {});
    seen.push(sent());
    expect(seen).toEqual([
      'GET /syncpoint/links.svc/ ',
      'GET /syncpoint/links.svc/?file_id=12&fileId=12&syncpointId=7&include=expired ',
      'GET /syncpoint/link.svc/a%2Fb%3F ',
      'DELETE /syncpoint/link.svc/a%2Fb%3F ',
    ]);
  });

  it('of two hundred links and one: a hundred a call', async () => {
    server.routes.push((request, response) => {
      if (request.path !== '/syncpoint/links.svc/') return false;
      const asked = JSON.parse(request.body) as { VirtualPath: string }[];
      return reply(
        response,
        200,
        asked.map(({ VirtualPath }) => ({ Token: VirtualPath, VirtualPath })),
      );
    });
    const objects = Array.from({ length: 201 }, (_, index) => object(`${index}.txt`));
    const { made, without } = await create(objects, { policy: 'all' });
    expect(made.map((one) => one.object)).toEqual(objects);
    expect(made.map(({ link }) => link.token)).toEqual(objects.map(({ names }) => `\\${names.join('\\')}`));
    expect(without).toEqual([]);
    expect(server.count('/syncpoint/links.svc/')).toBe(3);
  });
});

describe('what is read', () => {
  it.each(['ShareLinkPolicy', 'SharedLinkPolicy', 'SharedLinkPlicy', 'sharelinkpolicy'])(
    'of a link with %s',
    async (key) => {
      answer('/syncpoint/links.svc/', 200, [{ Token: 't', [key]: '2', PasswordProtectPolicy: 2, Password: password }]);
      const [link] = await listLinks(api, {}, {});
      expect(link).toMatchObject({ token: 't', policy: 'internal', hasPassword: true });
      expect(JSON.stringify(link)).not.toContain(password);
    },
  );

  it.each([
    [{ DownloadCount: 3 }, 3],
    [{ Viewed: true, TotalCount: '4' }, 4],
    [5, 5],
    ['6', 6],
    [[{}, {}], 2],
    [null, undefined],
    ['often', undefined],
    [{}, undefined],
  ])('of its usage %j: %j', async (LinkUsage, uses) => {
    answer('/syncpoint/links.svc/', 200, [{ Token: 't', LinkUsage }]);
    expect((await listLinks(api, {}, {}))[0]?.uses).toBe(uses);
  });

  it.each([
    '/Date(1491550811300)/',
    '/Date(1491550811300-0500)/',
    '2017-04-07T07:40:11.3000000Z',
    '2017-04-07T07:40:11.3',
  ])('of its time %s', async (SharedDateUtc) => {
    answer('/syncpoint/links.svc/', 200, [{ Token: 't', SharedDateUtc, File: 'File information', Users: ['a@b.c'] }]);
    const [link] = await listLinks(api, {}, {});
    expect(link).toMatchObject({ shared: { seconds: 1_491_550_811, nanoseconds: 300_000_000 }, users: ['a@b.c'] });
  });

  it('where links were made in part: which ones, by path, by name, or that nothing tells', async () => {
    const objects = [object('a'), object('b'), object('c')];
    const replies = [
      [{ Token: '1', VirtualPath: '/dir/B', SyncPointId: 7 }],
      [{ Token: '1', File: { Filename: 'b', FileId: 0, FolderId: 0 } }],
      [{ Token: '1' }],
      [{ Token: '1' }, { Token: '2' }, { Token: '3', VirtualPath: String.raw`dir\a` }],
    ];
    const told: unknown[] = [];
    server.routes.push((request, response) =>
      request.path === '/syncpoint/links.svc/' ? reply(response, 200, replies.shift()) : false,
    );
    for (let turn = 0; turn < 4; turn += 1) {
      const { made, without } = await create(objects, { policy: 'all' });
      told.push([made.map((one) => `${one.object?.names[1] ?? '?'}=${one.link.token}`), without.length]);
    }
    expect(told).toEqual([
      [['b=1'], 2],
      [['b=1'], 2],
      [['?=1'], 3],
      [['a=3', 'b=1', 'c=2'], 0],
    ]);
  });

  it('of one file among all, where the service does not choose', async () => {
    const links = [
      { Token: 'other', SyncPointId: 7, File: { FileId: 13 } },
      { Token: 'by-id', SyncPointId: '7', VirtualPath: String.raw`\dir\renamed`, File: { FileId: '12' } },
      { Token: 'by-path', SyncPointId: 7, VirtualPath: String.raw`\dir\a`, File: { FileId: 0 } },
      { Token: 'elsewhere', SyncPointId: 8, VirtualPath: String.raw`\dir\a` },
      { Token: 'namesake', SyncPointId: 7, File: { Filename: 'a' } },
      { Token: 'folder', SyncPointId: 7, VirtualPath: '\\dir\\a\\' },
      { Token: 'expired', SyncPointId: 7, VirtualPath: String.raw`\dir\a`, IsExpired: 'true' },
    ];
    answer('/syncpoint/links.svc/', 200, links);
    const found = await listLinks(api, { of: { ...object('a'), fileId: '12' as FileId } }, {});
    expect(found.map(({ token }) => token)).toEqual(['by-id', 'by-path']);
  });

  it('of ten thousand links, within seconds', async () => {
    const one = {
      DownloadUrl: 'https://x.test/',
      VirtualPath: '\\a\\'.padEnd(200, 'x'),
      File: { Filename: 'x', FileId: 1 },
    };
    answer(
      '/syncpoint/links.svc/',
      200,
      Array.from({ length: 10_000 }, (_, index) => ({ ...one, Token: `t${index}` })),
    );
    const begun = performance.now();
    const links = await listLinks(api, {}, {});
    expect(links).toHaveLength(10_000);
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  it('of a token that is not known', async () => {
    answer('/syncpoint/link.svc/t', 404, { StatusCode: 404, StatusDescription: 'Token Not found' });
    for (const failed of [
      showLink(api, 't', {}),
      updateLink(api, 't', { message: 'm' }, {}),
      deleteLink(api, 't', {}),
    ]) {
      await expect(failed).rejects.toMatchObject({ kind: 'not-found' });
      await expect(failed).rejects.toThrow('link t: Token Not found (HTTP 404)');
    }
  });
});

describe('a password', () => {
  async function refusal(status: number, body: unknown, secret = password): Promise<Error> {
    answer('/syncpoint/links.svc/', status, body);
    return create([object('a')], { policy: 'all', password: secret }).then(
      () => new Error('nothing was refused'),
      (error: unknown) => error as Error,
    );
  }

  it.each([
    [403, 'spVirtualFolderGetById did not return a result when one was expected'],
    [400, 'Password policy Prohibits sharing'],
    [406, 'Policy Prohibits Sharing'],
  ])('is left out of a refusal that repeats it: %i', async (status, text) => {
    const said = { StatusCode: status, StatusDescription: `${text} ${password}` };
    const { message } = await refusal(status, said);
    expect(message).toContain(`${text} [secret] (HTTP ${status})`);
    expect(message).not.toContain(password);
  });

  it.each([
    ['cut off by the service', `The password pass-of-`],
    ['cut off here', `${'x'.repeat(192)} ${password}`],
    ['in capitals', 'PASS-OF-THE-LINK is bad'],
    ['begun late', `...of-the-link`],
    ['escaped', encodeURIComponent(password)],
    ['as base64', Buffer.from(password).toString('base64')],
  ])('is left out where it is %s', async (_how, text) => {
    const error = await refusal(400, { StatusCode: 400, StatusDescription: text });
    expect(error.message).toBe('links.svc POST: a link to a: [secret] (HTTP 400)');
    expect(error.cause).toBeUndefined();
  });

  it.each([
    ['of one letter', 'a', 'Bad password a', '[secret]'],
    ['of markup', '<&">', '&lt;&amp;&quot;&gt; is bad', '[secret]'],
    ['that the documents say by chance', 'sharing', 'Policy Prohibits Sharing', 'Policy Prohibits Sharing'],
    ['that is not repeated', 'hunter2', 'Something else', 'Something else'],
  ])('%s', async (_what, secret, text, shown) => {
    const { message } = await refusal(400, { StatusDescription: text }, secret);
    expect(message).toBe(`links.svc POST: a link to a: ${shown} (HTTP 400)`);
  });

  it('is left out of an error that came as a 200, and of one that nobody knows the end of', async () => {
    const disguised = await refusal(200, { StatusCode: 400, StatusDescription: `no: ${password}` });
    expect(disguised.message).toBe('links.svc POST: a link to a: [secret] (HTTP 400)');
    server.routes.length = 0;
    const unclear = await refusal(500, { StatusCode: 500, StatusDescription: `no: ${password}` });
    expect(unclear.message).toMatch(/\[secret\] \(HTTP 500\).*it may have been done nevertheless$/);
    expect(unclear.cause).toBeUndefined();
  });

  it.each([`Password: ${password}`, [password], { Token: 't', ShareLinkPolicy: password }])(
    'is left out of what is said of a reply that cannot be read: %j',
    async (body) => {
      answer('/syncpoint/link.svc/t', 200, body);
      answer('/syncpoint/links.svc/', 200, body);
      for (const failed of [showLink(api, 't', {}), listLinks(api, {}, {})]) {
        await expect(failed).rejects.toMatchObject({ kind: 'protocol' });
        await expect(failed).rejects.not.toThrow(password);
      }
    },
  );
});
