// The database of the tree: its tables in the order that the log knows them by, and the schema of what they hold. Promises to open
// nothing that a newer program wrote. Must not know: what a change of the tree does to them.
import { LoggedStore, type Table } from './logged-store.ts';
import type { SyncLog } from './write-ahead-log.ts';
import type { ConflictRecord, PendingRecord, Purge, UnfinishedContent } from './pending-record.ts';
import type { StoredNode } from './records.ts';

/** Of the stored form. A newer program migrates an older one; an older program refuses a newer one. 2 added what is pending, 3 pins and purges; those before read the same. */
const SCHEMA_VERSION = 3;

/** Where msgpack keeps the shapes of records; one byte, so that it is no entry's key. (Typed as a symbol by lmdb, taken as any key.) */
const STRUCTURES_KEY = Buffer.from([0]);

/** The tables, by name. */
export interface TreeTables {
  readonly entries: Table<StoredNode>;
  readonly names: Table<Buffer>;
  readonly parents: Table<Buffer>;
  /** `m` is missing where an older program wrote it. */
  readonly listings: Table<{ at: number; g: number; m?: number; again?: number }>;
  readonly orphans: Table<boolean>;
  readonly vaults: Table<{ name: string; size: number | null; used: number | null }, string>;
  readonly meta: Table<number | string, string>;
  readonly pending: Table<PendingRecord>;
  readonly unfinished: Table<UnfinishedContent>;
  /** Generation to the inode whose node names it: the few among the many that have one. */
  readonly staged: Table<Buffer>;
  readonly conflicts: Table<ConflictRecord>;
  /** What the user wants to be kept on this machine. */
  readonly pins: Table<boolean>;
  readonly purges: Table<Purge>;
}

/** The named databases of the tree. */
export const treeDatabases = [
  'entries',
  'names',
  'parents',
  'listings',
  'orphans',
  'vaults',
  'meta',
  'pending',
  'unfinished',
  'staged',
  'conflicts',
  'pins',
  'purges',
] as const satisfies readonly (keyof TreeTables)[];

/** Opens or makes the database, with what its log has. Throws an Error that says what to do where that cannot be. */
export function openTables(
  directory: string,
  syncLog?: SyncLog,
): { readonly store: LoggedStore; readonly tables: TreeTables } {
  let store: LoggedStore;
  let tables: TreeTables;
  try {
    store = new LoggedStore(directory, 16, syncLog);
    tables = tablesOf(store);
  } catch (error) {
    throw new Error(
      `the tree in ${directory} cannot be opened: ${error instanceof Error ? error.message : String(error)}; move the directory away to start anew`,
      { cause: error },
    );
  }
  const schema = tables.meta.get('schema');
  if (typeof schema === 'number' && schema > SCHEMA_VERSION) {
    void store.close();
    throw new Error(
      `the tree in ${directory} was written by a newer syncplicityfs (schema ${schema}, this program knows ${SCHEMA_VERSION}); use that version`,
    );
  }
  store.recover();
  if (schema !== SCHEMA_VERSION) tables.meta.put('schema', SCHEMA_VERSION);
  // The service has no time for the drive itself: it is as old as what is known of it.
  if (tables.meta.get('rootSeconds') === undefined) tables.meta.put('rootSeconds', Math.floor(Date.now() / 1000));
  return { store, tables };
}

function tablesOf(store: LoggedStore): TreeTables {
  const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const plain = { keyEncoding: 'binary', encoding: 'msgpack' } as const;
  const records = { ...plain, sharedStructuresKey: STRUCTURES_KEY as unknown as symbol } as const;
  // In this order: the log names tables by their numbers.
  return {
    entries: store.table({ name: 'entries', ...records }),
    names: store.table({ name: 'names', ...binary }),
    parents: store.table({ name: 'parents', ...binary }),
    listings: store.table({ name: 'listings', ...plain }),
    orphans: store.table({ name: 'orphans', ...plain }),
    vaults: store.table({ name: 'vaults', encoding: 'msgpack' }),
    meta: store.table({ name: 'meta', encoding: 'msgpack' }),
    pending: store.table({ name: 'pending', ...plain }),
    unfinished: store.table({ name: 'unfinished', ...plain }),
    staged: store.table({ name: 'staged', ...binary }),
    conflicts: store.table({ name: 'conflicts', ...plain }),
    pins: store.table({ name: 'pins', ...plain }),
    purges: store.table({ name: 'purges', ...plain }),
  };
}
