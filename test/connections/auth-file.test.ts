// The auth file of `connections add`: every wrong field named, no secret repeated.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/base/usage-error.ts';
import { parseAuth, parseAuthText, serializeAuth } from '../../src/connections/auth-file.ts';

const complete = { client_id: 'key', client_secret: 'secret', app_token: 'token' };

function thrownBy(work: () => unknown): UsageError {
  try {
    work();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const refusal = (changes: Record<string, unknown>): UsageError =>
  thrownBy(() => parseAuth('syncplicity', { ...complete, ...changes }));

describe('platform syncplicity', () => {
  it("takes SkySync's file", () => {
    expect(parseAuth('syncplicity', { ...complete, admin_mode: 'true' })).toEqual({
      auth: {
        platform: 'syncplicity',
        credentials: {
          clientId: 'key',
          clientSecret: 'secret',
          appToken: 'token',
          machineToken: undefined,
          storageToken: undefined,
          asUser: undefined,
          email: undefined,
        },
        adminMode: true,
        apiUrl: undefined,
        golUrl: undefined,
        xmlUrl: undefined,
      },
      warnings: [],
    });
  });

  it.each([
    [true, true],
    ['TRUE', true],
    [1, true],
    ['false', false],
    [null, false],
    ['', false],
    [undefined, false],
  ])('reads admin_mode %j as %s', (value, expected) => {
    expect(parseAuth('syncplicity', { ...complete, admin_mode: value }).auth).toMatchObject({ adminMode: expected });
  });

  it.each(['client_id', 'client_secret', 'app_token'])('names %s when it is missing, and what it is', (key) => {
    const { message } = refusal({ [key]: undefined });
    expect(message).toContain(`"${key}" is missing: the `);
  });

  it('needs no app_token where there is a machine_token', () => {
    const { auth } = parseAuth('syncplicity', { ...complete, app_token: undefined, machine_token: 'm' });
    expect(auth).toMatchObject({ credentials: { machineToken: 'm', appToken: undefined } });
  });

  it('takes a storage token for each vault, with ids in any case, and writes what it reads', () => {
    const keys = {
      machine_id: 'm-1',
      machine_token: 'm',
      storage_tokens: { 'AB-1': ' t1 ', 'ab-2': null, 'ab-3': '' },
    };
    const { auth, warnings } = parseAuth('syncplicity', { ...complete, ...keys });
    expect(auth).toMatchObject({ machineId: 'm-1', storageTokens: { 'ab-1': 't1' } });
    expect(warnings).toEqual([]);
    expect(parseAuth('syncplicity', serializeAuth(auth)).auth).toEqual(auth);
  });

  it.each([['hidden-token'], [['hidden-token']], [{ v: ['hidden-token'] }], [{ v: 'hidden-token\n2' }]])(
    'refuses storage_tokens %j without repeating it',
    (value) => {
      const { message } = refusal({ storage_tokens: value });
      expect(message).toContain('"storage_tokens"');
      expect(message).not.toContain('hidden-token');
    },
  );

  it.each([['{{syncplicity_app_token}}'], ['x {{y}}']])('refuses the placeholder %s with a hint', (value) => {
    const { message, hint } = refusal({ app_token: value });
    expect(message).toBe('"app_token" still holds a {{placeholder}}');
    expect(hint).toContain('without the braces');
  });

  it('refuses a placeholder in an optional key too', () => {
    expect(refusal({ admin_mode: '{{admin_mode}}' }).message).toContain('admin_mode');
  });

  it.each([
    ['http://api.example.com', 'http: address'],
    ['api.example.com', 'not an https address'],
    ['ftp://api.example.com', 'not an https address'],
    ['https://me:pw@api.example.com', 'address only'],
    ['https://api.example.com/?x=1', 'address only'],
    ['http://127.0.0.1.example.com', 'http: address'],
  ])('refuses api_url %s', (url, message) => {
    expect(refusal({ api_url: url }).message).toContain(message);
  });

  it.each([
    ['https://eu.example.com/', 'https://eu.example.com'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['http://[::1]:8080/', 'http://[::1]:8080'],
    ['http://localhost:1/api/', 'http://localhost:1/api'],
  ])('takes api_url %s', (url, expected) => {
    expect(parseAuth('syncplicity', { ...complete, api_url: url }).auth).toMatchObject({ apiUrl: expected });
  });

  it('warns of unknown keys and suggests the right one', () => {
    const { warnings } = parseAuth('syncplicity', { ...complete, emial: 'x', delete_behavior: 'permanent', zzzzz: 1 });
    expect(warnings).toEqual([
      'unknown key "emial" is ignored; did you mean "email"?',
      '"delete_behavior" has no meaning here and is ignored',
      'unknown key "zzzzz" is ignored',
    ]);
  });

  it('refuses a line break, which would start another header', () => {
    expect(refusal({ app_token: 'a\r\nX-Evil: 1' }).message).toContain('line break');
  });

  it('refuses what is no text', () => {
    expect(refusal({ client_secret: { deep: 'secret' } }).message).toContain('"client_secret" must be a text');
  });

  it('never repeats a value it refuses', () => {
    const value = fc.oneof(fc.string({ minLength: 12 }), fc.object(), fc.array(fc.string({ minLength: 12 })));
    fc.assert(
      fc.property(fc.constantFrom('client_id', 'app_token', 'api_url', 'admin_mode'), value, (key, refused) => {
        try {
          parseAuth('syncplicity', { ...complete, [key]: refused });
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          const text = typeof refused === 'string' ? refused.trim() : JSON.stringify(refused);
          if (text.length >= 12)
            expect(`${(error as UsageError).message} ${(error as UsageError).hint ?? ''}`).not.toContain(text);
        }
      }),
    );
  });

  it('reads back what it wrote', () => {
    const text = fc.stringMatching(/^[!-z]{1,40}$/);
    const optional = fc.option(text, { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({
          client_id: text,
          client_secret: text,
          app_token: text,
          machine_token: optional,
          storage_token: optional,
          as_user: optional,
          email: optional,
          admin_mode: fc.boolean(),
          api_url: fc.option(fc.webUrl({ validSchemes: ['https'] }), { nil: undefined }),
        }),
        (fields) => {
          const { auth } = parseAuth('syncplicity', fields);
          const stored: unknown = JSON.parse(JSON.stringify(serializeAuth(auth)));
          expect(parseAuth('syncplicity', stored).auth).toEqual(auth);
        },
      ),
    );
  });
});

describe('platform fs', () => {
  it.each([
    ['/some/directory', '/some/directory'],
    ['/some//directory/', '/some/directory'],
    ['/', '/'],
    ['file:///some/dir%20ectory', '/some/dir ectory'],
  ])('takes %s', (uri, directory) => {
    expect(parseAuth('fs', { uri }).auth).toEqual({ platform: 'fs', directory });
  });

  it.each(['relative', '~/x', 'file://elsewhere/x', '\\\\server\\share'])('refuses %s', (uri) => {
    expect(thrownBy(() => parseAuth('fs', { uri })).message).toContain('"uri"');
  });
});

describe('the text', () => {
  it('may begin with a byte order mark', () => {
    expect(parseAuthText('fs', '\uFEFF{"uri":"/x"}').auth).toEqual({ platform: 'fs', directory: '/x' });
  });

  it.each(['[]', '"x"', 'null', '7'])('%s is no object', (text) => {
    expect(thrownBy(() => parseAuthText('fs', text)).message).toContain('not a JSON object');
  });

  it('tells where it is wrong, never what stands there', () => {
    const text = '{"client_id": "key",\n"client_secret": "hidden-secret"\n"app_token": "hidden-token"}';
    const { message, hint } = thrownBy(() => parseAuthText('syncplicity', text));
    expect(message).toContain('not valid JSON');
    expect(`${message}${hint ?? ''}`).not.toContain('hidden');
  });
});
