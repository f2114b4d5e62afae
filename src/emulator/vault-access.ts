// Who may call the vault: the account's bearer token, or one for this vault, and where the vault has authentication of its own the
// storage token of the machine that the bearer is of. Source: sections 2.3 and 2.5 of the API reference. Must not know: content.
import type { Call } from './call.ts';
import type { Dialect } from './dialect.ts';
import { Refusal } from './reply.ts';
import type { StorageTokens } from './storage-tokens.ts';
import type { Tokens } from './tokens.ts';

export interface VaultAccessParts {
  readonly tokens: Tokens;
  readonly dialect: Dialect;
  /** Undefined: a vault without authentication of its own. */
  readonly storageTokens: StorageTokens | undefined;
}

/** Refuses a request of a vault that nobody may make. */
export function requireVaultAccess(parts: VaultAccessParts, call: Call, purpose: 'download' | 'upload'): void {
  const { storageTokens, dialect } = parts;
  const { authorization } = call.headers;
  const holder = bearerHolder(parts, authorization, call, purpose);
  if (storageTokens === undefined) return;
  const machineId = storageTokens.machineOf(call.headers['syncplicity-storage-authorization']);
  if (machineId === undefined) throw unauthorized();
  if (dialect.storageBearer === 'machine' && holder.machineId !== machineId) throw unauthorized();
}

/** Whose a bearer token is that opens this vault for this purpose. */
export function bearerHolder(
  { tokens, dialect }: VaultAccessParts,
  authorization: string | undefined,
  call: Call,
  purpose: 'download' | 'upload',
): { readonly machineId: string | undefined } {
  const found = tokens.find(authorization, call.headers['appkey']);
  const { vaultTokens } = dialect;
  const takesVaultTokens = vaultTokens === 'both' || (vaultTokens === 'downloads' && purpose === 'download');
  if (found === undefined || (found.scope === 'vault' && !takesVaultTokens)) throw unauthorized();
  return found;
}

/** The vault's words for any token it does not take. */
export function unauthorized(): Refusal {
  return new Refusal(401, 'Invalid authorization or storage token');
}
