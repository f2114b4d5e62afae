// The gateway's calls that make, change and delete syncpoints. Each handler is one documented call with the refusals its table names.
// Source: the guide's Syncpoints POST, Syncpoint PUT and DELETE. Must not know: sockets, faults, where content lies.
import type { Call, Route } from './call.ts';
import { positive } from './gateway-lookup.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import type { Filing } from './filing.ts';
import { acceptedName } from './names.ts';
import type { People } from './people.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import { parseRequest, RequestObject, requestObjects } from './request-json.ts';
import type { Account, Shapes } from './shapes.ts';
import type { Sharing } from './sharing.ts';
import type { ContentStore, Person, SyncpointChange, SyncpointRecord } from './store.ts';
import type { SyncpointFacts } from './syncpoint-facts.ts';
import type { WireObject } from './wire-json.ts';

export interface SyncpointOptions {
  readonly account: Account;
  readonly store: ContentStore;
  readonly lookup: GatewayLookup;
  readonly filing: Filing;
  readonly people: People;
  readonly sharing: Sharing;
  readonly facts: SyncpointFacts;
  readonly replies: ReplyWriter;
  readonly shapes: Shapes;
}

const CUSTOM_TYPE = 6;
const PRIVATE_TYPE = 7;
const SYNCDRIVE_TYPE = 8;
const NAME_MAX = 50;
const PATH_MAX = 256;
/** The guide's limit for a user. */
const SYNCPOINTS_MAX = 200;
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const REQUIRED = ['Type', 'Name', 'Mapped', 'Path', 'DownloadEnabled', 'UploadEnabled'];
const noIncludes = { participants: false, inviter: false, remoteWipe: false, children: false, lastEvent: false };

export function syncpointRoutes(options: SyncpointOptions): readonly Route[] {
  const { account, store, lookup, filing, people, sharing, facts, replies, shapes } = options;
  const { dialect } = replies;

  function shape(syncpoint: SyncpointRecord): WireObject {
    return { ...shapes.syncpoint(syncpoint, noIncludes, []), ...facts.of(syncpoint, false) };
  }

  function syncpointOf(call: Call): Promise<SyncpointRecord> {
    const id = positive(call.segments[0], new Refusal(400, 'Invalid SyncPoint ID'));
    return lookup.syncpoint(id, lookup.missingSyncpoint(404, 'SyncPoint Does Not Exist'));
  }

  // --- made

  async function create(call: Call): Promise<Reply> {
    const wanted = requestObjects(await call.body(), dialect, 100).map(newSyncpoint);
    const made: WireObject[] = [];
    for (const { name, type } of wanted) {
      const all = await store.syncpoints();
      // What is there already is left out of the reply, as the guide has it of the types for one folder each.
      if (type < CUSTOM_TYPE && all.some((one) => one.type === type)) continue;
      if (all.length >= SYNCPOINTS_MAX) throw new Refusal(403, 'Max Limit On Creation Reached');
      const syncpoint = await filing.change(0, () => store.createSyncpoint(name, type));
      made.push({ ...shape(syncpoint), RootFolderId: rootOf(syncpoint) });
    }
    return replies.json(made);
  }

  function rootOf(syncpoint: SyncpointRecord): WireObject[string] {
    return dialect.createdRoot === 'told' ? shapes.id(syncpoint.rootFolderId) : undefined;
  }

  function newSyncpoint(object: RequestObject): { readonly name: string; readonly type: number } {
    const invalid = new Refusal(400, 'Invalid syncpoints list');
    const isWhole = REQUIRED.every((key) => object.has(key)) && hasVault(object);
    if (dialect.syncpointBody === 'whole' && !isWhole) throw invalid;
    const vault = object.text('StorageEndpointID') ?? object.text('StorageEndpointId');
    if (vault === '' && dialect.syncpointBody === 'no-empty-vault') throw invalid;
    if (vault !== undefined && vault !== '') {
      if (!GUID.test(vault)) throw invalid;
      if (vault.toLowerCase() !== account.storageEndpointId) throw new Refusal(404, 'Storage Endpoint not found');
    }
    const type = typeOf(object);
    const name = acceptedName(object.text('Name') ?? '', dialect);
    if (type === undefined || name === undefined || name.length > NAME_MAX) throw invalid;
    const owner = object.object('Owner')?.text('EmailAddress');
    if (owner !== undefined && people.byAddress(owner)?.id !== account.user.id) {
      throw new Refusal(403, 'Not A Business Admin');
    }
    return { name, type };
  }

  function hasVault(object: RequestObject): boolean {
    return object.has('StorageEndpointID') || object.has('StorageEndpointId');
  }

  // --- changed

  async function change(call: Call): Promise<Reply> {
    const syncpoint = await syncpointOf(call);
    const object = new RequestObject(parseRequest(await call.body()), dialect);
    const [type, name] = [typeOf(object), object.text('Name')];
    if (type === undefined) throw new Refusal(400, 'Bad Request');
    const isOwner = sharing.isOwnedBySelf(syncpoint);
    const owner = newOwner(object, syncpoint);
    const changes: SyncpointChange = {
      ...(type !== syncpoint.type && { type: otherType(type, syncpoint) }),
      ...(name !== undefined && name !== syncpoint.name && { name: newName(name, isOwner) }),
      ...(owner !== undefined && { owner }),
    };
    mapped(object, syncpoint);
    const former = sharing.owner(syncpoint);
    const changed = await filing.change(syncpoint.id, () => store.changeSyncpoint(syncpoint.id, changes));
    if (owner !== undefined) sharing.transferred(changed, former);
    return replies.json(shape(changed));
  }

  function otherType(type: number, syncpoint: SyncpointRecord): number {
    const changeable = [CUSTOM_TYPE, SYNCDRIVE_TYPE];
    if (changeable.includes(type) && changeable.includes(syncpoint.type)) return type;
    throw new Refusal(403, 'SyncpointType Change Forbidden');
  }

  function newName(text: string, isOwner: boolean): string {
    const name = acceptedName(text, dialect);
    if (name === undefined || name.length > NAME_MAX) throw new Refusal(400, 'Invalid Folder Name');
    if (!isOwner) throw new Refusal(403, 'Syncpoint Rename Forbidden');
    return name;
  }

  /** Whom the syncpoint is given to; undefined where it stays whose it is. */
  function newOwner(object: RequestObject, syncpoint: SyncpointRecord): Person | undefined {
    const address = object.object('Owner')?.text('EmailAddress');
    const before = sharing.owner(syncpoint);
    if (address === undefined || address.toLowerCase() === before.emailAddress.toLowerCase()) return undefined;
    if (!sharing.isOwnedBySelf(syncpoint)) throw new Refusal(403, 'Syncpoint Change Owner Forbidden');
    if (syncpoint.parentSyncpointId !== undefined) {
      throw new Refusal(403, 'Sub-folder Sharing Change Owner Forbidden');
    }
    if (!people.isColleague(address)) throw new Refusal(403, 'Only Company users Allowed');
    const person = people.byAddress(address);
    if (person === undefined) throw new Refusal(400, 'Owner user does not exist');
    return person;
  }

  function mapped(object: RequestObject, syncpoint: SyncpointRecord): void {
    const [entry] = object.objects('Mappings') ?? [];
    const mapping = dialect.mappingBody === 'wrapped' ? entry?.object('Mapping') : entry;
    const machine = mapping?.object('Machine');
    if (mapping === undefined || machine === undefined) return;
    const machineId = machine.text('Id') ?? machine.text('ID') ?? '';
    if (!GUID.test(machineId)) throw new Refusal(400, 'Invalid Machine ID');
    const path = mapping.text('Path') ?? machine.text('Path') ?? '';
    if (path.length > PATH_MAX) throw new Refusal(400, 'Bad Request');
    facts.map(syncpoint, {
      machineId: machineId.toLowerCase(),
      path,
      mapped: mapping.flag('Mapped') ?? false,
      downloadEnabled: mapping.flag('DownloadEnabled') ?? true,
      uploadEnabled: mapping.flag('UploadEnabled') ?? true,
    });
  }

  // --- deleted

  /** Of the owner's for everybody, of another's for the account alone; only the account's view is kept here. */
  async function remove(call: Call): Promise<Reply> {
    const syncpoint = await syncpointOf(call);
    if (call.url.searchParams.get('modifier') === 'permanently') {
      throw new Refusal(404, 'Purging Active Folder Not Allowed');
    }
    if (syncpoint.type === PRIVATE_TYPE) throw new Refusal(403, 'Deleting Private Folder Not Allowed');
    await filing.change(syncpoint.id, () => store.removeSyncpoint(syncpoint.id));
    return { status: 200, headers: {}, body: '' };
  }

  const one = /^\/syncpoint\/syncpoint\.svc\/([^/]*)\/?$/;
  const route = (endpoint: string, method: string, path: RegExp, handle: (call: Call) => Promise<Reply>): Route => ({
    endpoint,
    method,
    path,
    handle: lookup.guarded(handle),
  });
  return [
    route('syncpointsPost', 'POST', /^\/syncpoint\/syncpoints\.svc\/?$/, create),
    route('syncpointPut', 'PUT', one, change),
    route('syncpointDelete', 'DELETE', one, remove),
  ];
}

/** A type that the documents name for calls; undefined for any other. */
function typeOf(object: RequestObject): number | undefined {
  const type = Number(object.integer('Type') ?? 0n);
  return (type >= 1 && type <= CUSTOM_TYPE) || type === SYNCDRIVE_TYPE ? type : undefined;
}
