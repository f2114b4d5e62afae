// Upload requests written out byte by byte as the documents have them, for the emulator's tests; and changes by the gateway.
import { createHash } from 'node:crypto';
import type { Session } from './client.ts';
import type { Service } from './stores.ts';

export interface Part {
  readonly name: string;
  readonly value: string | Uint8Array;
  /** Of the data part. */
  readonly fileName?: string;
}

export interface UploadChanges {
  readonly url?: 'saveFile.php' | 'v2/mime/files';
  readonly headers?: Readonly<Record<string, string>>;
  readonly contentRange?: string | undefined;
  readonly ifMatch?: string;
  readonly isLast?: boolean;
  readonly sha256?: string;
  readonly sessionKey?: string;
  readonly modified?: string;
  readonly created?: string;
  readonly syncpointId?: number | bigint;
  /** Instead of the usual parts. */
  readonly parts?: readonly Part[];
  readonly query?: string;
}

export const BOUNDARY = '-------8d4c1f0a2b3';

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function formBody(parts: readonly Part[], boundary = BOUNDARY): Buffer<ArrayBuffer> {
  const pieces = parts.flatMap(({ name, value, fileName }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`,
    fileName === undefined
      ? '\r\n\r\n'
      : `; filename="${fileName}"\r\nContent-Transfer-Encoding: binary\r\nContent-Type: application/octet-stream\r\n\r\n`,
    value,
    '\r\n',
  ]);
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece as string)));
}

/** The parts of section 5, in their usual order. */
export function usualParts(service: Service, bytes: string | Uint8Array, changes: UploadChanges = {}): readonly Part[] {
  return [
    { name: 'fileData', value: bytes, fileName: 'file' },
    { name: 'sha256', value: changes.sha256 ?? sha256(bytes) },
    { name: 'sessionKey', value: changes.sessionKey ?? `Bearer ${service.session.token}` },
    { name: 'virtualFolderId', value: String(changes.syncpointId ?? service.syncpointId) },
    { name: 'creationTimeUtc', value: changes.created ?? '2015-10-27T23:07:54.3268208Z' },
    { name: 'lastWriteTimeUtc', value: changes.modified ?? '2015-10-27T23:08:02.4128366Z' },
    ...((changes.isLast ?? true) ? [{ name: 'fileDone', value: '' }] : []),
  ];
}

export function upload(
  service: Service,
  path: string,
  bytes: string | Uint8Array,
  changes: UploadChanges = {},
): Promise<Response> {
  return postForm(service, path, formBody(changes.parts ?? usualParts(service, bytes, changes)), changes);
}

export function postForm(
  { session, emulator }: Service,
  path: string,
  body: Uint8Array<ArrayBuffer>,
  changes: UploadChanges = {},
): Promise<Response> {
  const contentRange = 'contentRange' in changes ? changes.contentRange : '0-*/*';
  return fetch(
    `${emulator.vaultUrl}/${changes.url ?? 'saveFile.php'}?filepath=${encodeURIComponent(path)}${changes.query ?? ''}`,
    {
      method: 'POST',
      redirect: 'manual',
      headers: {
        AppKey: session.headers['AppKey'] ?? '',
        Authorization: session.headers['Authorization'] ?? '',
        'Content-Type': `multipart/form-data; boundary=${BOUNDARY}`,
        ...(contentRange !== undefined && { 'Content-Range': contentRange }),
        ...(changes.ifMatch !== undefined && { 'If-Match': changes.ifMatch }),
        ...changes.headers,
      },
      body,
    },
  );
}

/** The status query that begins a session or asks how far it is. */
export function query(service: Service, path: string, changes: UploadChanges = {}): Promise<Response> {
  const parts = [{ name: 'sessionKey', value: `Bearer ${service.session.token}` }];
  return upload(service, path, '', { contentRange: '*/*', parts, ...changes });
}

export function chunk(
  service: Service,
  path: string,
  bytes: string | Uint8Array,
  changes: UploadChanges & { readonly start: number; readonly ifMatch: string },
): Promise<Response> {
  return upload(service, path, bytes, { contentRange: `${changes.start}-*/*`, isLast: false, ...changes });
}

/** A response as `status text`. */
export async function told(response: Promise<Response>): Promise<string> {
  const { status, statusText, text } = await read(response);
  try {
    const { StatusDescription } = JSON.parse(text) as { StatusDescription?: string };
    return `${status} ${StatusDescription ?? text}`;
  } catch {
    return `${status} ${text === '' ? statusText : text}`;
  }
}

async function read(response: Promise<Response>): Promise<{ status: number; statusText: string; text: string }> {
  const { status, statusText } = await response;
  return { status, statusText, text: await (await response).text() };
}

export function call(session: Session, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(session.emulator.gatewayUrl + path, {
    method,
    headers: session.headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}
