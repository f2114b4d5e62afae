// The capacity of the vaults, as it was last told: in the database, and in memory, because each write looks whether there is room.
import type { RemoteVault, VaultId } from '../../remote-drive.ts';
import type { TreeTables } from './tables.ts';

export class VaultCapacities {
  readonly #table: TreeTables['vaults'];
  /** All that were asked about. */
  readonly #read = new Map<VaultId, RemoteVault | undefined>();

  constructor(table: TreeTables['vaults']) {
    this.#table = table;
  }

  get(id: VaultId): RemoteVault | undefined {
    if (this.#read.has(id)) return this.#read.get(id);
    const stored = this.#table.get(id);
    const vault =
      stored === undefined
        ? undefined
        : { id, name: stored.name, sizeBytes: stored.size ?? undefined, consumedBytes: stored.used ?? undefined };
    this.#read.set(id, vault);
    return vault;
  }

  /** Within a transaction. */
  put(vaults: readonly RemoteVault[]): void {
    this.#read.clear();
    for (const { id, name, sizeBytes, consumedBytes } of vaults) {
      this.#table.put(id, { name, size: sizeBytes ?? null, used: consumedBytes ?? null });
    }
  }
}
