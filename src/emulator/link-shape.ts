// A shared link as replies have it, in each spelling of the documents. Must not know: which call asked.
import type { Dialect } from './dialect.ts';
import { isExpired } from './links.ts';
import type { LinkRecord } from './links.ts';
import type { Shapes } from './shapes.ts';
import type { ContentStore, FileRecord, FolderRecord } from './store.ts';
import { wireTime } from './wire-json.ts';
import type { WireObject, WireValue } from './wire-json.ts';

/** What a link leads to. */
export interface LinkTarget {
  readonly kind: 'file' | 'folder';
  readonly syncpointId: number;
  readonly record: FileRecord | FolderRecord;
  readonly virtualPath: string;
}

export function linkTarget(record: FileRecord | FolderRecord, virtualPath: string): LinkTarget {
  return { kind: 'versionId' in record ? 'file' : 'folder', syncpointId: record.syncpointId, record, virtualPath };
}

export interface LinkShapeOptions {
  /** Its place in the reply: some spellings alternate. */
  readonly index: number;
  readonly dialect: Dialect;
  readonly shapes: Shapes;
  readonly store: ContentStore;
  readonly nowMs: number;
}

const SHARE_LINK = 2;
/** No name of a host that exists: the emulator gives content to those who sign in only. */
const LINK_HOST = 'https://my.emulator.invalid';
const MIXED_KEYS = ['SharedLinkPlicy', 'SharedLinkPolicy'] as const;

/** A link as an object of a reply: where its file lies now, else where it lay. */
export async function linkShape(
  record: LinkRecord,
  { index, dialect, shapes, store, nowMs }: LinkShapeOptions,
): Promise<WireObject> {
  const { token, users, groups, message, expireInDays } = record;
  const target = await targetNow(record, store);
  const policyKey =
    dialect.linkPolicyKey === 'mixed' ? (MIXED_KEYS[index % 2] ?? MIXED_KEYS[0]) : dialect.linkPolicyKey;
  return {
    SyncPointId: record.syncpointId,
    VirtualPath: pathOf(target?.virtualPath ?? record.virtualPath, dialect.linkPaths),
    [policyKey]: record.policy,
    PasswordProtectPolicy: record.hasPassword ? 2 : 1,
    Users: users.map((one) => ({ EmailAddress: one })),
    Groups: groups.map((one) => ({ Id: one })),
    DownloadUrl: `${LINK_HOST}/ui/download/${token}`,
    LinkUsage: usageOf(record, dialect.linkUsage),
    LinkExpireInDays: expireInDays,
    IsExpired: isExpired(record, nowMs),
    SharedDateUtc: wireTime(BigInt(record.sharedMs) * 10_000n, dialect.linkTimes),
    Token: token,
    [dialect.linkTypeKey]: SHARE_LINK,
    LinkExpirationPolicy: expireInDays > 0 ? 1 : 2,
    LandingPageUrl: `${LINK_HOST}/ui/share/${token}`,
    File: fileOf(target, shapes, dialect.linkFile),
    Message: message,
    [dialect.linkOutlookKey]: record.outlookPolicy,
  };
}

async function targetNow(record: LinkRecord, store: ContentStore): Promise<LinkTarget | undefined> {
  const { kind, syncpointId, objectId } = record;
  if (kind === 'folder') {
    const folder = await store.folder(syncpointId, objectId);
    return folder && linkTarget(folder, folder.virtualPath);
  }
  const file = await store.file(syncpointId, objectId);
  const folder = file && (await store.folder(syncpointId, file.folderId));
  return folder && linkTarget(file, `${folder.virtualPath}${file.name}`);
}

function pathOf(virtualPath: string, form: Dialect['linkPaths']): string | undefined {
  switch (form) {
    case 'backslash':
      return virtualPath;
    case 'slash':
      return virtualPath.replaceAll('\\', '/');
    case 'absent':
      return undefined;
  }
}

function usageOf({ downloads }: LinkRecord, form: Dialect['linkUsage']): WireValue | undefined {
  switch (form) {
    case 'object':
      return { DownloadCount: downloads };
    case 'number':
      return downloads;
    case 'absent':
      return undefined;
  }
}

function fileOf(target: LinkTarget | undefined, shapes: Shapes, form: Dialect['linkFile']): WireValue | undefined {
  if (form === 'text') return 'File information';
  if (form === 'absent' || target === undefined || !('versionId' in target.record)) return undefined;
  // As observed: without its folder and its length.
  return { ...shapes.file(target.record, { folderId: true, length: true }), FolderId: 0, Length: 0 };
}
