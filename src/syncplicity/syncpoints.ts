// The calls Syncpoints GET and Syncpoint GET.
import { createLog } from '../base/log.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, FolderId, RemoteSyncpoint, SyncpointId } from '../remote-drive.ts';
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
  /** Some servers refuse an include they do not know. */
  #tellsLastEvent: boolean | undefined;
  /** Root folders that lists leave out; they never change. */
  readonly #roots = new Map<SyncpointId, FolderId>();

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  get tellsLastEvent(): boolean | undefined {
    return this.#tellsLastEvent;
  }

  /** Every syncpoint the user may read. `userId` is the GUID of the caller. */
  async list(userId: string | undefined, options: CallOptions): Promise<RemoteSyncpoint[]> {
    const value = await this.#fetch(options);
    const entries = isObject(value) && Fields.of(value, name).value('RootFolderId') !== undefined ? [value] : value;
    if (!Array.isArray(entries)) throw new RemoteError('protocol', `${name}: the reply is not an array`);
    const syncpoints = new Map<SyncpointId, RemoteSyncpoint>();
    for (const [index, entry] of (entries as readonly unknown[]).entries()) {
      if (entry === null) continue;
      const fields = readSyncpoint(entry, `${name}[${index}]`, userId);
      if (fields === undefined || syncpoints.has(fields.id)) continue;
      const rootFolderId = fields.rootFolderId ?? (await this.#root(fields, userId, options));
      if (rootFolderId !== undefined) syncpoints.set(fields.id, { ...fields, rootFolderId });
    }
    return [...syncpoints.values()];
  }

  async #fetch(options: CallOptions): Promise<unknown> {
    const path = `/syncpoint/syncpoints.svc/?${types}`;
    const thing = 'the list of syncpoints';
    if (this.#tellsLastEvent !== false) {
      try {
        const value = await this.#gateway.json({ name, thing, path: `${path}&include=lastnewsfeedevent` }, options);
        this.#tellsLastEvent = true;
        return value;
      } catch (error) {
        if (!(error instanceof ReplyError) || error.status !== 400) throw error;
        log('the server refuses include=lastnewsfeedevent: %s', error.message);
      }
    }
    const value = await this.#gateway.json({ name, thing, path }, options);
    // Only now it is known that the include was at fault.
    this.#tellsLastEvent = false;
    return value;
  }

  /** Asks for one syncpoint whose list entry has no root folder; undefined when it is gone or hidden by now. */
  async #root(
    fields: SyncpointFields,
    userId: string | undefined,
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
    const root = readSyncpoint(entry, call.name, userId)?.rootFolderId;
    if (root === undefined) {
      log('syncpoint %s has no root folder: left out', fields.id);
      return undefined;
    }
    this.#roots.set(fields.id, root);
    return root;
  }
}
