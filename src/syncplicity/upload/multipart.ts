// The body of one upload request: multipart/form-data with the parts of section "Upload" in their usual order, streamed, its
// length known before, the hash of its bytes computed on the way. Knows no HTTP and no session.
import { randomBytes } from 'node:crypto';
import { growingHash, hashingRoom } from '../../base/hashing-thread.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { SyncpointId, Timestamp } from '../../remote-drive.ts';
import type { StreamedBody } from '../http/body-progress.ts';
import { formatTimestamp } from '../wire/timestamp.ts';

/** Which hash goes into the part sha256: of the bytes sent, of the whole file (given), or none. */
export type HashPart =
  { readonly of: 'bytes' } | { readonly of: 'whole'; readonly sha256: string } | { readonly of: 'nothing' };

/** The form of a request that carries content. */
export interface ContentForm {
  readonly fileName: string;
  readonly lengthBytes: number;
  /** Exactly `lengthBytes`, or the request fails. */
  read(): AsyncIterable<Uint8Array>;
  readonly hash: HashPart;
  /** What the hash of the bytes must turn out to be, where that is known: others are not sent to their end. */
  readonly expectedSha256: string | undefined;
  readonly sessionKey: string;
  readonly syncpointId: SyncpointId;
  readonly created: Timestamp;
  readonly modified: Timestamp;
  /** Adds fileDone: the content ends with these bytes. */
  readonly isLast: boolean;
}

/** A form on its way: its type, and its bytes as they are sent. */
export interface Multipart {
  readonly contentType: string;
  readonly body: StreamedBody;
}

const hashLength = 64;
/** Up to this length head, bytes and tail are sent as one piece: fewer packets for small files. */
const onePieceBytesMax = 256 * 1024;

/** The form that asks how far a session is: nothing but the session key. */
export function queryForm(sessionKey: string): Multipart {
  const boundary = newBoundary();
  const bytes = Buffer.from(`${field(boundary, 'sessionKey', sessionKey)}--${boundary}--\r\n`, 'utf8');
  return {
    contentType: contentTypeOf(boundary),
    body: { lengthBytes: bytes.length, pieces: () => once(bytes) },
  };
}

/** The form that carries content, its parts in the documented order. */
export function contentForm(form: ContentForm): Multipart {
  const boundary = newBoundary();
  const head = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="fileData"; filename="${quoted(form.fileName)}"\r\n` +
      'Content-Transfer-Encoding: binary\r\nContent-Type: application/octet-stream\r\n\r\n',
    'utf8',
  );
  const tail = (sha256: string): Buffer =>
    Buffer.from(
      `\r\n${field(boundary, 'sha256', sha256)}` +
        field(boundary, 'sessionKey', form.sessionKey) +
        // The id of the syncpoint, whatever the guide's words: the folder comes from the path.
        field(boundary, 'virtualFolderId', form.syncpointId) +
        field(boundary, 'creationTimeUtc', formatTimestamp(form.created)) +
        field(boundary, 'lastWriteTimeUtc', formatTimestamp(form.modified)) +
        (form.isLast ? field(boundary, 'fileDone', '') : '') +
        `--${boundary}--\r\n`,
      'utf8',
    );
  const tailLength = tail(form.hash.of === 'nothing' ? '' : '0'.repeat(hashLength)).length;
  return {
    contentType: contentTypeOf(boundary),
    body: {
      lengthBytes: head.length + form.lengthBytes + tailLength,
      pieces: () => pieces(form, head, tail),
    },
  };
}

async function* pieces(form: ContentForm, head: Buffer, tail: (sha256: string) => Buffer): AsyncGenerator<Uint8Array> {
  const gathered: Uint8Array[] | undefined = form.lengthBytes <= onePieceBytesMax ? [head] : undefined;
  if (gathered === undefined) yield head;
  const hash = growingHash(form.hash.of === 'bytes' ? form.lengthBytes : 0);
  try {
    let left = form.lengthBytes;
    for await (const piece of form.read()) {
      left -= piece.length;
      if (left < 0) throw changed(form, 'more bytes than it should have');
      if (form.hash.of === 'bytes') hash.update(piece);
      if (hash.isBeside) await hashingRoom();
      if (gathered === undefined) yield piece;
      else gathered.push(piece);
    }
    if (left > 0) throw changed(form, `${left} bytes less than it should have`);
    const end = tail(hashText(form, hash.digest()));
    if (gathered === undefined) yield end;
    else yield Buffer.concat([...gathered, end]);
  } finally {
    hash.close();
  }
}

function hashText(form: ContentForm, sha256: string | undefined): string {
  switch (form.hash.of) {
    case 'bytes':
      if (sha256 === undefined) throw new RemoteError('unavailable', `${form.fileName} could not be hashed`);
      if (form.expectedSha256 !== undefined && sha256 !== form.expectedSha256) {
        throw changed(form, 'another hash than it should have');
      }
      return sha256;
    case 'whole':
      return form.hash.sha256;
    case 'nothing':
      return '';
  }
}

function changed(form: ContentForm, how: string): RemoteError {
  return new RemoteError('invalid', `upload of ${form.fileName}: what was read has ${how}`);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

/** Random bits enough never to meet them in a file. */
function newBoundary(): string {
  return `-------${randomBytes(16).toString('hex')}`;
}

function contentTypeOf(boundary: string): string {
  return `multipart/form-data; boundary=${boundary}`;
}

/** One part with a value, and the blank line that an empty one needs too. */
function field(boundary: string, name: string, value: string): string {
  return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
}

/** As browsers put a name into a form. The path in the URL decides what the file is called. */
function quoted(name: string): string {
  return name.replace(/\r/g, '%0D').replace(/\n/g, '%0A').replace(/"/g, '%22');
}
