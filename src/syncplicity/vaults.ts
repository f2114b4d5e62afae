// Where bytes live: the storage endpoints of the user, found by the calls Storage Endpoints GET and Storage Endpoint GET, kept
// for a while. Only addresses the gateway names here ever see a token besides the gateway itself.
import { waitFor } from '../base/abort.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions, VaultId } from '../remote-drive.ts';
import type { Gateway } from './gateway.ts';
import { serviceUrl } from './http/service-url.ts';
import type { Vault } from './vault.ts';
import { readVault } from './wire/entities.ts';
import type { VaultFields } from './wire/entities.ts';

/** A vault's addresses change when somebody moves a server. */
const keptMs = 600_000;
/** And is seen by whoever asks again, not by whoever asks all the time. */
const trustedMs = 60_000;
/** A user has a handful of vaults; far more are other ids that were asked for. */
const byIdMax = 256;

interface Kept<T> {
  readonly value: Promise<T>;
  readonly untilMs: number;
}

export class VaultDirectory {
  readonly #gateway: Gateway;
  #all: Kept<readonly VaultFields[]> | undefined;
  #trustedUntilMs = 0;
  readonly #byId = new Map<VaultId | 'default', Kept<VaultFields>>();

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** Every vault of the user, asked for now. */
  async list(options: CallOptions): Promise<readonly VaultFields[]> {
    const vaults = await this.#fetchAll(options);
    this.#all = { value: Promise.resolve(vaults), untilMs: performance.now() + keptMs };
    return vaults;
  }

  /**
   * The vault with this id, the user's default vault without one. An endpoint missing in the list (it may leave out vaults
   * without a mapped syncpoint) is asked for by its id, and where the service tells only administrators, the default must do.
   */
  async find(id: VaultId | undefined, options: CallOptions): Promise<Vault> {
    const listed = await this.#listed(options);
    const found = id === undefined ? listed.find((vault) => vault.isDefault) : listed.find((vault) => vault.id === id);
    return usable(found ?? (await this.#single(id ?? 'default', options)));
  }

  /** The vault with this id, the default one without, as far as that is known without a call. Never rejects. */
  async known(id: VaultId | undefined): Promise<Vault | undefined> {
    if (this.#all === undefined || performance.now() >= this.#all.untilMs) return undefined;
    try {
      const listed = await this.#all.value;
      const found = listed.find((vault) => (id === undefined ? vault.isDefault : vault.id === id));
      return found === undefined ? undefined : usable(found);
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      // Whoever needs it asks again, and is told.
      return undefined;
    }
  }

  /** The vault that has an address at this origin; undefined where the gateway names none. `id`: one that its list may leave out. */
  async at(origin: string, id: VaultId | undefined, options: CallOptions): Promise<Vault | undefined> {
    const isThere = (vault: VaultFields): boolean => addresses(vault).urls.some((url) => url.origin === origin);
    const listed = await this.#listed(options);
    const found = listed.find(isThere);
    if (found !== undefined) return usable(found);
    if (listed.some((vault) => (id === undefined ? vault.isDefault : vault.id === id))) return undefined;
    try {
      const single = await this.#single(id ?? 'default', options);
      return isThere(single) ? usable(single) : undefined;
    } catch (error) {
      if (!(error instanceof RemoteError) || !isRefusal(error)) throw error;
      return undefined;
    }
  }

  /** Forgets everything: addresses did not answer. Not again within a minute: while a vault is down, its address is what it was. */
  forget(): void {
    if (performance.now() < this.#trustedUntilMs) return;
    this.#trustedUntilMs = performance.now() + trustedMs;
    this.#all = undefined;
    this.#byId.clear();
  }

  /**
   * Where a vault is by now that could not be reached where `vault` is, or answered there as if it were none; undefined: where it was. Asks
   * the gateway no more than {@link forget} lets it.
   */
  async moved(id: VaultId | undefined, vault: Vault, options: CallOptions): Promise<Vault | undefined> {
    this.forget();
    const now = await this.find(id, options);
    return now.urls.map(String).join() === vault.urls.map(String).join() ? undefined : now;
  }

  async #listed(options: CallOptions): Promise<readonly VaultFields[]> {
    if (this.#all === undefined || performance.now() >= this.#all.untilMs) {
      // Shared by all who ask at once: it must not end with the first asker's patience.
      const value = this.#fetchAll({ callClass: options.callClass });
      const kept = { value, untilMs: performance.now() + keptMs };
      this.#all = kept;
      value.catch(() => {
        if (this.#all === kept) this.#all = undefined;
      });
    }
    return waitFor(this.#all.value, options.signal);
  }

  async #single(id: VaultId | 'default', options: CallOptions): Promise<VaultFields> {
    let kept = this.#byId.get(id);
    if (kept === undefined || performance.now() >= kept.untilMs) {
      if (this.#byId.size >= byIdMax) this.#byId.clear();
      const value = this.#fetchOne(id, { callClass: options.callClass });
      const made = { value, untilMs: performance.now() + keptMs };
      kept = made;
      this.#byId.set(id, made);
      value.catch(() => {
        if (this.#byId.get(id) === made) this.#byId.delete(id);
      });
    }
    return waitFor(kept.value, options.signal);
  }

  async #fetchOne(id: VaultId | 'default', options: CallOptions): Promise<VaultFields> {
    const name = 'storageendpoint.svc GET';
    const base = '/storage/storageendpoint.svc/';
    if (id !== 'default') {
      const call = { name, thing: `storage endpoint ${id}`, path: `${base}${encodeURIComponent(id)}` };
      try {
        return single(await this.#gateway.json(call, options), name);
      } catch (error) {
        if (!(error instanceof RemoteError) || !isRefusal(error)) throw error;
      }
    }
    return single(await this.#gateway.json({ name, thing: 'the default storage endpoint', path: base }, options), name);
  }

  async #fetchAll(options: CallOptions): Promise<readonly VaultFields[]> {
    const name = 'storageendpoints.svc GET';
    const call = { name, thing: 'storage endpoints', path: '/storage/storageendpoints.svc/' };
    let value: unknown;
    try {
      value = await this.#gateway.json(call, options);
    } catch (error) {
      if (!(error instanceof RemoteError) || !isRefusal(error)) throw error;
      // The guide knows only the singular call.
      return [await this.#fetchOne('default', options)];
    }
    const entries = (Array.isArray(value) ? (value as readonly unknown[]) : [value]).filter((entry) => entry !== null);
    return entries.map((entry, index) => readVault(entry, `${name}[${index}]`));
  }
}

/** The call is not for this user, or not served. */
function isRefusal(error: RemoteError): boolean {
  return error.kind === 'forbidden' || error.kind === 'not-found' || error.kind === 'protocol';
}

/** One endpoint, which some servers wrap into an array. */
function single(value: unknown, name: string): VaultFields {
  if (!Array.isArray(value)) return readVault(value, name);
  const entries = value as readonly unknown[];
  if (entries.length === 0) throw new RemoteError('not-found', `${name}: the user has no storage endpoint`);
  const vaults = entries.map((entry, index) => readVault(entry, `${name}[${index}]`));
  return vaults.find((vault) => vault.isDefault) ?? (vaults[0] as VaultFields);
}

function usable(vault: VaultFields): Vault {
  const { urls, refused } = addresses(vault);
  if (urls.length === 0) throw refused;
  return { ...vault, urls };
}

/** The addresses of a vault that may be called, and what is wrong with another. */
function addresses(vault: VaultFields): { readonly urls: readonly URL[]; readonly refused: RemoteError } {
  const urls: URL[] = [];
  let refused = new RemoteError('protocol', `storage endpoint ${vault.name} (${vault.id}) has no Urls`);
  for (const url of vault.urls) {
    try {
      urls.push(serviceUrl(url, `storage endpoint ${vault.name}: Url`));
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      refused = error;
    }
  }
  return { urls, refused };
}
