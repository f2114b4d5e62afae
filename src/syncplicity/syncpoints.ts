// The calls Syncpoints GET and Syncpoint GET.
import { createLog } from '../base/log.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, FolderId, RemoteSyncpoint, SyncpointId } from '../remote-drive.ts';
import type { Counters } from './counters.ts';
import { ReplyError } from './errors.ts';
import type { Gateway } from './gateway.ts';
import { readSyncpoint } from './wire/entities.ts';
import type { SyncpointFields } from './wire/entities.ts';
import { Fields, isObject } from './wire/fields.ts';

const log = createLog('syncpoints');
const name = 'syncpoints.svc GET';
/** All types but the private 7. Type 8 (SyncDrive) comes only when asked for. */
const types = 'includeType=1,2,3,4,5,6,8';

export class Syncpoints {
  readonly #gateway: Gateway;
  readonly #counters: Counters;
  /** Some servers refuse an include they do not know. */
  #mayBeAsked: boolean | undefined;
  /** Others take it and tell nothing. */
  #tellsLastEvent: boolean | undefined;
  /** Root folders that lists leave out; they never change. */
  readonly #roots = new Map<SyncpointId, FolderId>();

  constructor(gateway: Gateway, counters: Counters) {
    this.#gateway = gateway;
    this.#counters = counters;
  }

  get tellsLastEvent(): boolean | undefined {
    return this.#tellsLastEvent;
  }

  /**
   * Every syncpoint the user may read. `userId` is the GUID of the caller. One that cannot be read is left out and becomes the
   * last error; where it leaves nothing to show, it is the error of the call: a full root must not look empty.
   */
  async list(userId: string | undefined, options: CallOptions): Promise<RemoteSyncpoint[]> {
    const value = await this.#fetch(options);
    const entries = isObject(value) && Fields.of(value, name).value('RootFolderId') !== undefined ? [value] : value;
    if (!Array.isArray(entries)) throw new RemoteError('protocol', `${name}: the reply is not an array`);
    const syncpoints = new Map<SyncpointId, RemoteSyncpoint>();
    const unreadable: Unreadable[] = [];
    for (const [index, entry] of (entries as readonly unknown[]).entries()) {
      if (entry === null) continue;
      const fields = attempt(unreadable, entry, index, () => readSyncpoint(entry, `${name}[${index}]`, userId));
      if (fields === undefined || syncpoints.has(fields.id)) continue;
      const rootFolderId = fields.rootFolderId ?? (await this.#root(fields, index, userId, unreadable, options));
      if (rootFolderId !== undefined) syncpoints.set(fields.id, { ...fields, rootFolderId });
    }
    const [first] = unreadable;
    if (first !== undefined && syncpoints.size === 0) throw first.error;
    for (const { syncpoint, error } of unreadable) {
      const leftOut = new RemoteError('protocol', `${syncpoint}: ${error.message}; it was left out`, { cause: error });
      log('%s', leftOut.message);
      this.#counters.refused(leftOut);
    }
    if (syncpoints.size > 0) {
      this.#tellsLastEvent = [...syncpoints.values()].some(({ lastEvent }) => lastEvent !== undefined);
    }
    return [...syncpoints.values()];
  }

  async #fetch(options: CallOptions): Promise<unknown> {
    const path = `/syncpoint/syncpoints.svc/?${types}`;
    const thing = 'the list of syncpoints';
    if (this.#mayBeAsked !== false) {
      try {
        const value = await this.#gateway.json({ name, thing, path: `${path}&include=lastnewsfeedevent` }, options);
        this.#mayBeAsked = true;
        return value;
      } catch (error) {
        if (!(error instanceof ReplyError) || error.status !== 400) throw error;
        log('the server refuses include=lastnewsfeedevent: %s', error.message);
      }
    }
    const value = await this.#gateway.json({ name, thing, path }, options);
    // Only now it is known that the include was at fault.
    this.#mayBeAsked = false;
    return value;
  }

  /** Asks for one syncpoint whose list entry has no root folder; undefined when it is gone or hidden by now. */
  async #root(
    fields: SyncpointFields,
    index: number,
    userId: string | undefined,
    unreadable: Unreadable[],
    options: CallOptions,
  ): Promise<FolderId | undefined> {
    const known = this.#roots.get(fields.id);
    if (known !== undefined) return known;
    const call = {
      name: 'syncpoint.svc GET',
      thing: `syncpoint ${fields.id}`,
      path: `/syncpoint/syncpoint.svc/${fields.id}`,
    };
    let value: unknown;
    try {
      value = await this.#gateway.json(call, options);
    } catch (error) {
      // A missing syncpoint is 404 or 403: gone or no access.
      if (error instanceof RemoteError && (error.kind === 'not-found' || error.kind === 'forbidden')) return undefined;
      throw error;
    }
    const entry = Array.isArray(value) ? (value[0] as unknown) : value;
    const read = attempt(unreadable, fields, index, () => readSyncpoint(entry, call.name, userId));
    const root = read?.rootFolderId;
    if (root === undefined) {
      log('syncpoint %s has no root folder: left out', fields.id);
      return undefined;
    }
    this.#roots.set(fields.id, root);
    return root;
  }
}

/** A syncpoint whose entry has a shape that cannot be read. */
interface Unreadable {
  /** For messages: by its id where that can be read, else by its place. */
  readonly syncpoint: string;
  readonly error: RemoteError;
}

/** What `read` returns; undefined where the entry cannot be read, which is then noted. */
function attempt(
  unreadable: Unreadable[],
  entry: unknown,
  index: number,
  read: () => SyncpointFields | undefined,
): SyncpointFields | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    unreadable.push({ syncpoint: syncpointOf(entry, index), error });
    return undefined;
  }
}

function syncpointOf(entry: unknown, index: number): string {
  const id = isObject(entry) ? Fields.of(entry, name).value('Id', 'SyncpointId') : undefined;
  const isId = typeof id === 'number' || (typeof id === 'string' && /^\d{1,20}$/.test(id));
  return isId ? `syncpoint ${id}` : `syncpoint ${index + 1} of the list`;
}
