// A bare HTTP client for the emulator's tests: the documented headers, nothing clever.
import type { Emulator } from '../../src/emulator/emulator.ts';

export interface Session {
  readonly emulator: Emulator;
  readonly token: string;
  readonly headers: Record<string, string>;
}

export async function requestToken(emulator: Emulator, changes: Record<string, string> = {}): Promise<Response> {
  const { appKey, appSecret, appToken } = emulator.credentials;
  return fetch(`${emulator.gatewayUrl}/oauth/token`, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from(`${appKey}:${appSecret}`).toString('base64')}`,
      'Sync-App-Token': appToken,
      'Content-Type': 'application/x-www-form-urlencoded',
      Accept: 'application/json',
      ...changes,
    },
    body: 'grant_type=client_credentials',
  });
}

export async function signIn(emulator: Emulator): Promise<Session> {
  const reply = (await (await requestToken(emulator)).json()) as { access_token: string };
  const token = reply.access_token;
  return {
    emulator,
    token,
    headers: {
      AppKey: emulator.credentials.appKey,
      Authorization: `Bearer ${token}`,
      Accept: 'application/json',
      'Content-Type': 'application/json',
    },
  };
}

export function get(session: Session, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(session.emulator.gatewayUrl + path, { headers: { ...session.headers, ...headers } });
}

/** The reply's JSON. */
export async function getJson(session: Session, path: string): Promise<unknown> {
  const response = await get(session, path);
  return JSON.parse((await response.text()).replace(/^\uFEFF/, ''));
}

export function download(
  session: Session,
  syncpointId: number,
  versionId: number | bigint | string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const { AppKey = '', Authorization = '' } = session.headers;
  return fetch(`${session.emulator.vaultUrl}/retrieveFile.php?vToken=${syncpointId}-${versionId}`, {
    headers: { AppKey, Authorization, ...headers },
  });
}
