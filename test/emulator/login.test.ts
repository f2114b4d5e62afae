// Browser sign-ins at the emulator: strict where the documents are, and RFC 6749 where they are silent.
import { createHash } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/emulator.ts';
import { MemoryStore } from '../../src/emulator/memory-store.ts';

let emulator: Emulator;
afterEach(() => emulator.stop());

const back = 'http://127.0.0.1:9/callback';
const verifier = 'v'.repeat(43);
const challenge = createHash('sha256').update(verifier).digest('base64url');

async function serve(options: Partial<EmulatorOptions> = {}): Promise<void> {
  emulator = await startEmulator({ store: new MemoryStore(), ...options });
}

function authorize(changes: Record<string, string | undefined> = {}): Promise<Response> {
  const url = new URL(`${emulator.gatewayUrl}/oauth/authorize`);
  const query: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: emulator.credentials.appKey,
    redirect_uri: back,
    state: 's t',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  };
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
  return fetch(url, { redirect: 'manual' });
}

function queryOf(response: Response): Record<string, string> {
  expect(response.status).toBe(302);
  return Object.fromEntries(new URL(response.headers.get('location') ?? '').searchParams);
}

async function codeOf(changes: Record<string, string | undefined> = {}): Promise<string> {
  return queryOf(await authorize(changes))['code'] as string;
}

async function token(form: Record<string, string>): Promise<{ status: number; json: Record<string, string> }> {
  const { appKey, appSecret } = emulator.credentials;
  const response = await fetch(`${emulator.gatewayUrl}/oauth/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${appKey}:${appSecret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(form),
  });
  return { status: response.status, json: (await response.json()) as Record<string, string> };
}

const redeem = (code: string, changes: Record<string, string> = {}): ReturnType<typeof token> =>
  token({ grant_type: 'authorization_code', code, redirect_uri: back, code_verifier: verifier, ...changes });
const renew = (refreshToken: string): ReturnType<typeof token> =>
  token({ grant_type: 'refresh_token', refresh_token: refreshToken });

it('gives a code, and for it tokens, and refuses a code that is used twice with all it gave', async () => {
  await serve();
  const answer = queryOf(await authorize());
  expect(answer).toEqual({ code: expect.stringMatching(/^emulated-code-/) as unknown, state: 's t' });
  const first = await redeem(answer['code'] as string);
  expect(first).toMatchObject({ status: 200, json: { user_id: emulator.credentials.userId } });
  const second = await redeem(answer['code'] as string);
  expect(second).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
  expect((await renew(first.json['refresh_token'] as string)).status).toBe(400);
});

it.each([
  [{ redirect_uri: 'http://127.0.0.1:10/callback' }],
  [{ code_verifier: 'w'.repeat(43) }],
  [{ code: 'guessed' }],
])('takes no code with %j', async (changes) => {
  await serve();
  expect(await redeem(await codeOf(), changes)).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
});

it('sends errors back to the app, but none to an address that is not its own', async () => {
  await serve({ signIn: { refuses: true } });
  expect(queryOf(await authorize())).toEqual({ error: 'access_denied', state: 's t' });
  expect(queryOf(await authorize({ response_type: 'token' }))).toMatchObject({ error: 'unsupported_response_type' });
  expect(queryOf(await authorize({ code_challenge_method: 'plain' }))).toMatchObject({ error: 'invalid_request' });
  expect((await authorize({ redirect_uri: 'https://elsewhere.example.com/' })).status).toBe(400);
  expect((await authorize({ client_id: 'unknown' })).status).toBe(401);
});

it('knows only the registered address, and shows the code where there is none', async () => {
  await serve({ signIn: { redirectUri: 'http://127.0.0.1:7777/done' } });
  expect((await authorize()).status).toBe(400);
  expect((await authorize({ redirect_uri: 'http://127.0.0.1:7777/done' })).status).toBe(302);
  const page = await authorize({ redirect_uri: undefined });
  expect(await page.text()).toMatch(/^code: emulated-code-\S+\n$/);
});

it.each([
  ['rotating', true, false],
  ['constant', false, true],
  ['unsaid', undefined, true],
] as const)('refresh tokens: %s', async (refreshTokens, isNew, isOldGood) => {
  await serve({ dialect: { refreshTokens } });
  const old = (await redeem(await codeOf())).json['refresh_token'] as string;
  const { status, json } = await renew(old);
  expect(status).toBe(200);
  expect(json['refresh_token'] === undefined ? undefined : json['refresh_token'] !== old).toBe(isNew);
  expect((await renew(old)).status === 200).toBe(isOldGood);
  emulator.endLogins();
  expect((await renew(json['refresh_token'] ?? old)).json).toEqual({
    error: 'invalid_grant',
    error_description: 'Invalid Refresh Token',
  });
});
