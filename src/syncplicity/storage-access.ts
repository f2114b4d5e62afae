// The storage tokens of vaults with authentication of their own (SVA): where a token is known it goes to its vault, nowhere else. One that a
// vault refuses is looked for again: somebody may have signed in meanwhile. Must not know where they are kept.
import { RemoteError } from '../remote-drive.ts';
import type { VaultId } from '../remote-drive.ts';
import { ReplyError } from './errors.ts';
import type { SyncplicityCredentials } from './options.ts';
import type { SignIns } from './sign-ins.ts';
import type { Vault } from './vault.ts';

const header = 'syncplicity-storage-authorization';
const commonRemedy = 'give the connection a storage_token';
/** What has been in use, for the log and messages to leave out. */
const issuedMax = 8;

export class StorageAccess {
  readonly #credentials: Pick<SyncplicityCredentials, 'storageToken' | 'storage'>;
  readonly #known = new Map<VaultId, string>();
  readonly #signIns: SignIns;
  readonly #connection: string;
  #issued: readonly string[];

  /** `connection`: whose these credentials are, in messages. */
  constructor(
    credentials: Pick<SyncplicityCredentials, 'storageToken' | 'storage'>,
    signIns: SignIns,
    connection: string,
  ) {
    this.#credentials = credentials;
    this.#signIns = signIns;
    this.#connection = connection;
    this.#issued = credentials.storageToken === undefined ? [] : [credentials.storageToken];
  }

  /** Secrets that replies may repeat. */
  get issued(): readonly string[] {
    return this.#issued;
  }

  /** The header that a vault wants besides the bearer token; none for most. Rejects where there is no token for it. */
  async headers(vault: Vault): Promise<Readonly<Record<string, string>>> {
    if (!vault.requiresStorageToken) return {};
    const token = this.#known.get(vault.id) ?? (await this.#look(vault));
    if (token !== undefined) return { [header]: token };
    const refusal = `StorageVault ${vault.name} asks for its own authentication: ${this.#remedy}`;
    const error = new RemoteError('unauthenticated', refusal);
    this.#signIns.refuse(this.#signInName(vault), error);
    throw error;
  }

  /** The vault took what it was shown. */
  accepted(vault: Vault): void {
    if (vault.requiresStorageToken) this.#signIns.accept(this.#signInName(vault));
  }

  /** True when a vault's 401 is worth another request: another token is stored now than `sent`, the headers of the one refused. */
  async isReplaced(
    vault: Vault,
    refusal: Pick<ReplyError, 'status'>,
    sent: Readonly<Record<string, string>>,
  ): Promise<boolean> {
    if (!vault.requiresStorageToken || refusal.status !== 401) return false;
    const found = await this.#look(vault);
    return found !== undefined && found !== sent[header];
  }

  /** A refusal with what to do where it may be about the storage token. */
  explained(vault: Vault, refusal: ReplyError): ReplyError {
    if (!vault.requiresStorageToken || refusal.status !== 401) return refusal;
    const message = `${refusal.message}; or the authentication of StorageVault ${vault.name} is over: ${this.#remedy}`;
    const explained = new ReplyError('unauthenticated', message, refusal);
    this.#signIns.refuse(this.#signInName(vault), explained);
    return explained;
  }

  /** Each connection of a pool signs in to a vault by itself. */
  #signInName({ name }: Vault): string {
    return `StorageVault ${name} (${this.#connection})`;
  }

  get #remedy(): string {
    return this.#credentials.storage?.remedy ?? commonRemedy;
  }

  async #look({ id }: Vault): Promise<string | undefined> {
    const { storage, storageToken } = this.#credentials;
    const token = storage === undefined ? storageToken : await storage.tokenFor(id);
    if (token === undefined) return undefined;
    if (/[^\t\x20-\x7e]/.test(token)) {
      // A header cannot carry it, and the error of the HTTP library would quote it.
      throw new RemoteError('unauthenticated', `the storage token of ${id} holds characters no header can carry`);
    }
    this.#known.set(id, token);
    if (!this.#issued.includes(token)) this.#issued = [token, ...this.#issued].slice(0, issuedMax);
    return token;
  }
}
