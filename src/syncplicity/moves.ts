// Renames and moves: the undocumented PUT of files and folders with Status 6, which not every server has and not every syncpoint
// allows. Learns per syncpoint and kind what works; a refusal is believed when it came twice, for a day; replies that are lost say little.
import type {
  CallOptions,
  FolderId,
  MoveOutcome,
  MoveSupport,
  MoveTarget,
  PlacedFolder,
  RemoteEntry,
  RemoteFile,
  SyncpointId,
} from '../remote-drive.ts';
import { ReplyError, UnclearError, namesMissingObject } from './errors.ts';
import type { Gateway, GatewayCall } from './gateway.ts';
import { Fields, isObject } from './wire/fields.ts';
import { bareId, jsonObject } from './wire/json-body.ts';
import { formatTimestamp } from './wire/timestamp.ts';

type Kind = RemoteEntry['kind'];

/** Status 6: moved or renamed. */
const moved = 6;
/** Once may be a fault of the moment. */
const refusalsMax = 2;
const believedMs = 86_400_000;
/** That replies were lost and nothing was moved may have been an outage; a server may also answer 500 to a call that it does not have. */
const doubtedMs = 600_000;
/** Syncpoints of one user are at most some hundreds. */
const syncpointsMax = 4_096;

interface Knowledge {
  worked: boolean;
  /** In a row: the call is not there, or not for this type of syncpoint. */
  refusals: number;
  /** In a row: answered as if done, or not at all, and not done. */
  ignored: number;
  /** The reply to the last one was lost. */
  isUnheard: boolean;
  untilMs: number;
}

/** Words of a server that renames nothing in this syncpoint. */
const typeTexts =
  /syncpoint ?type|syncplicity ?drive|\b(rename|move|renaming|moving)\b.*\b(forbidden|not (allowed|supported|permitted)|prohibited|disabled)/i;
/** Words that are about this object or this user. Any other 400 or 403 may mean that moves do not work: a copy may. */
const ownTexts = /permission|not an owner|ip address/i;

/** Renames and moves, and what is known of where they work. */
export class Moves {
  readonly #gateway: Gateway;
  readonly #knowledge = new Map<string, Knowledge>();
  /** The vendor's two samples differ in a trailing slash. */
  #filePath: '/file' | '/file/' = '/file';

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** See RemoteDrive.moveFile. */
  async file(
    syncpointId: SyncpointId,
    file: RemoteFile,
    from: FolderId,
    to: MoveTarget,
    options: CallOptions,
  ): Promise<MoveOutcome> {
    if (this.support(syncpointId, 'file') === 'no') return 'unsupported';
    const body = jsonObject({
      SyncpointId: bareId(syncpointId),
      FileId: bareId(file.id),
      Filename: to.name,
      Length: file.lengthBytes,
      CreationTimeUtc: formatTimestamp(file.created),
      LastWriteTimeUtc: formatTimestamp(file.modified),
      Status: moved,
      LatestVersionId: bareId(file.versionId),
      Stored: true,
      FolderId: bareId(to.folderId),
    });
    const thing = `file ${file.id} of folder ${from}, syncpoint ${syncpointId}`;
    const call = (path: string): GatewayCall => ({
      name: 'file.svc PUT',
      thing,
      method: 'PUT',
      path: `/sync/file.svc/${syncpointId}${path}`,
      body,
    });
    const other = this.#filePath === '/file' ? '/file/' : '/file';
    return this.#move(syncpointId, 'file', to, [this.#filePath, other], call, options);
  }

  /** See RemoteDrive.moveFolder. */
  async folder(
    syncpointId: SyncpointId,
    folder: PlacedFolder,
    from: FolderId,
    to: MoveTarget,
    options: CallOptions,
  ): Promise<MoveOutcome> {
    if (this.support(syncpointId, 'folder') === 'no') return 'unsupported';
    const thing = `folder ${folder.id} of folder ${from}, syncpoint ${syncpointId}`;
    const ids = { SyncpointId: bareId(syncpointId), FolderId: bareId(folder.id) };
    const parent = { ParentFolderId: bareId(to.folderId) };
    const path = await this.#virtualPath(syncpointId, folder, thing, options);
    const body = jsonObject({
      ...ids,
      ...(path === undefined ? {} : { VirtualPath: path }),
      Name: to.name,
      Status: moved,
      Files: [],
      Folders: [],
      ...parent,
    });
    const call = (address: string): GatewayCall => ({
      name: 'folder.svc PUT',
      thing,
      method: 'PUT',
      path: `/sync/folder.svc/${syncpointId}${address}`,
      body,
    });
    return this.#move(syncpointId, 'folder', to, ['/folder'], call, options);
  }

  /** See RemoteDrive.moveSupport. */
  support(syncpointId: SyncpointId, kind: Kind): MoveSupport {
    const known = this.#knowledge.get(`${syncpointId} ${kind}`);
    if (known === undefined || performance.now() >= known.untilMs) return 'unknown';
    if (known.refusals >= refusalsMax || known.ignored >= refusalsMax) return 'no';
    return known.worked ? 'yes' : 'unknown';
  }

  /** See RemoteDrive.moveSeen. */
  seen(syncpointId: SyncpointId, kind: Kind, worked: boolean): void {
    const known = this.#known(syncpointId, kind);
    const { isUnheard } = known;
    known.isUnheard = false;
    // Where moves work, one that nobody answered says nothing.
    if (isUnheard && !worked && known.worked) return;
    known.worked = worked;
    known.ignored = worked ? 0 : known.ignored + 1;
    if (worked) known.refusals = 0;
    else if (isUnheard) known.untilMs = performance.now() + doubtedMs;
  }

  /** What is known of each syncpoint that was tried. */
  capabilities(): Readonly<Record<string, Readonly<Record<Kind, MoveSupport>>>> {
    const ids = new Set([...this.#knowledge.keys()].map((key) => key.split(' ')[0] as SyncpointId));
    return Object.fromEntries(
      [...ids].map((id) => [id, { file: this.support(id, 'file'), folder: this.support(id, 'folder') }]),
    );
  }

  /** The folder's present path as the service spells it. */
  async #virtualPath(
    syncpointId: SyncpointId,
    folder: PlacedFolder,
    thing: string,
    options: CallOptions,
  ): Promise<string | undefined> {
    if (folder.folderNames !== undefined) return `\\${folder.folderNames.map((name) => `${name}\\`).join('')}`;
    const name = 'folder.svc GET';
    const path = `/sync/folder.svc/${syncpointId}/folder/${folder.id}`;
    try {
      const value = await this.#gateway.json({ name, thing, path }, options);
      const entry = Array.isArray(value) ? (value[0] as unknown) : value;
      return Fields.of(entry, name).text('VirtualPath');
    } catch (error) {
      // The guide does not know this call. The move may do without the path.
      if (error instanceof ReplyError && isEndpointMissing(error)) return undefined;
      throw error;
    }
  }

  async #move(
    syncpointId: SyncpointId,
    kind: Kind,
    to: MoveTarget,
    paths: readonly string[],
    call: (path: string) => GatewayCall,
    options: CallOptions,
  ): Promise<MoveOutcome> {
    let refusal: ReplyError | undefined;
    for (const path of paths) {
      try {
        const value = await this.#gateway.change(call(path), options);
        if (path === '/file' || path === '/file/') this.#filePath = path;
        Object.assign(this.#known(syncpointId, kind), { refusals: 0, isUnheard: false });
        return confirms(value, to) ? 'done' : 'unclear';
      } catch (error) {
        if (error instanceof UnclearError) {
          this.#known(syncpointId, kind).isUnheard = true;
          return 'unclear';
        }
        if (!(error instanceof ReplyError)) throw error;
        refusal ??= error;
        if (isEndpointMissing(error)) continue;
        refusal = error;
        break;
      }
    }
    if (refusal !== undefined) this.#judge(syncpointId, kind, refusal);
    return 'unsupported';
  }

  /** Throws a refusal of this one object; notes one of the whole call. */
  #judge(syncpointId: SyncpointId, kind: Kind, refusal: ReplyError): void {
    const isOfType = (refusal.status === 400 || refusal.status === 403) && typeTexts.test(refusal.text);
    if (isEndpointMissing(refusal) || isOfType) {
      this.#known(syncpointId, kind).refusals += 1;
      return;
    }
    const isUnexplained =
      (refusal.kind === 'forbidden' || refusal.kind === 'protocol') &&
      (refusal.status === 400 || refusal.status === 403) &&
      !ownTexts.test(refusal.text);
    if (!isUnexplained) throw refusal;
  }

  #known(syncpointId: SyncpointId, kind: Kind): Knowledge {
    const key = `${syncpointId} ${kind}`;
    let known = this.#knowledge.get(key);
    if (known === undefined || performance.now() >= known.untilMs) {
      if (this.#knowledge.size >= syncpointsMax) this.#knowledge.clear();
      known = { worked: false, refusals: 0, ignored: 0, isUnheard: false, untilMs: 0 };
      this.#knowledge.set(key, known);
    }
    known.untilMs = performance.now() + believedMs;
    return known;
  }
}

/** The server has no such call; an object that is not there is refused in words. */
function isEndpointMissing(error: ReplyError): boolean {
  if (error.status === 405 || error.status === 501) return true;
  return error.status === 404 && !namesMissingObject(error.text);
}

/** True for the updated object, as far as the reply shows one; one that still has the old name was not renamed. */
function confirms(value: unknown, to: MoveTarget): boolean {
  const entry = Array.isArray(value) ? (value[0] as unknown) : value;
  if (!isObject(entry)) return false;
  const fields = Fields.of(entry, 'PUT');
  const name = fields.value('Filename', 'Name');
  return typeof name === 'string' && name.normalize('NFC') === to.name.normalize('NFC');
}
