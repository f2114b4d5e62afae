// Which bearer token a vault is shown. Promises: a vault outside the gateway's own domain gets, for downloads, a token that is good there
// alone (SST), one with authentication of its own the token of a machine, where there are such; what is refused is not asked for again. One
// request to the gateway for each vault and lifetime of a token, shared by all who read there. Must not know requests, nor what they carry.
import { createLog } from '../base/log.ts';
import { RemoteError } from '../remote-drive.ts';
import type { VaultId } from '../remote-drive.ts';
import { asksForNewToken, ReplyError } from './errors.ts';
import type { ErrorReply } from './errors.ts';
import { isVendorHost } from './http/service-url.ts';
import { TokenRenewal } from './token-renewal.ts';
import { AccessToken } from './token.ts';
import type { IssuedToken, Token } from './token.ts';
import type { Vault } from './vault.ts';

const log = createLog('vault-tokens');

/** A gateway that does not answer, or has no call left, is not asked again for this long: the plain token does meanwhile. */
const pauseMs = 60_000;
/** Vaults of one user; far more are ids that came and went. */
const vaultsMax = 256;

/** What a request to a vault is for. No vault is known to take a vault's token for uploads: the vendor's own code does not send one. */
export type VaultPurpose = 'download' | 'upload';

export interface VaultTokenParts {
  /** Opens the gateway, and every vault. */
  readonly account: AccessToken;
  /** Of the connection's machine, where that is not the account's own. */
  readonly machine: AccessToken | undefined;
  /** Asks for a token for one vault, once, without waiting for a call. */
  readonly exchange: (base: Token, vaultId: VaultId, signal: AbortSignal) => Promise<IssuedToken>;
  readonly gatewayUrl: (signal: AbortSignal | undefined) => Promise<URL>;
}

/** One kind of token for a vault. */
interface Candidate {
  /** For the log. */
  readonly name: string;
  readonly tokens: AccessToken;
  /** Not used until then. */
  skippedUntilMs: number;
  /** The vault took one. */
  isProven: boolean;
}

export class VaultTokens {
  readonly #parts: VaultTokenParts;
  readonly #candidates = new Map<string, readonly Candidate[]>();
  readonly #exchanged = new Map<VaultId, AccessToken>();

  constructor(parts: VaultTokenParts) {
    this.#parts = parts;
  }

  /** The tokens for one request, best first. */
  async forRequest(vault: Vault, purpose: VaultPurpose, signal: AbortSignal | undefined): Promise<RequestTokens> {
    // Addresses may change, and with them whom they belong to.
    const isForeign = isOutside(vault.urls, await this.#parts.gatewayUrl(signal));
    const key = `${purpose} ${String(isForeign)} ${String(vault.requiresStorageToken)} ${vault.id}`;
    let candidates = this.#candidates.get(key);
    if (candidates === undefined) {
      if (this.#candidates.size >= vaultsMax) this.#candidates.clear();
      candidates = this.#candidatesFor(vault, purpose === 'download' && isForeign);
      this.#candidates.set(key, candidates);
    }
    return new RequestTokens(vault.name, candidates, purpose);
  }

  /** The tokens that requests under way may carry, the account's own aside. */
  get issued(): readonly string[] {
    return this.#own.flatMap(({ issued }) => issued);
  }

  /** How long they are good nobody knows any more. */
  forget(): void {
    for (const tokens of this.#own) tokens.forget();
  }

  stop(): void {
    for (const tokens of this.#own) tokens.stop();
  }

  get #own(): readonly AccessToken[] {
    const { machine } = this.#parts;
    return [...(machine === undefined ? [] : [machine]), ...this.#exchanged.values()];
  }

  #candidatesFor(vault: Vault, isExchanged: boolean): readonly Candidate[] {
    const { account, machine } = this.#parts;
    const plain = { name: "the account's token", tokens: account };
    const base =
      vault.requiresStorageToken && machine !== undefined
        ? [{ name: "the machine's token", tokens: machine }, plain]
        : [plain];
    const own = isExchanged
      ? [{ name: 'a token for this vault alone', tokens: this.#exchangedFor(vault, base[0]) }]
      : [];
    return [...own, ...base].map((candidate) => ({ ...candidate, skippedUntilMs: 0, isProven: false }));
  }

  #exchangedFor({ id }: Vault, base: Pick<Candidate, 'tokens'> | undefined): AccessToken {
    const from = base?.tokens ?? this.#parts.account;
    let tokens = this.#exchanged.get(id);
    if (tokens === undefined) {
      tokens = new AccessToken(async (signal) => {
        const token = await from.get(signal);
        try {
          return await this.#parts.exchange(token, id, signal);
        } catch (error) {
          // It was good when it was given: it may have ended since.
          if (!(error instanceof ReplyError) || error.status !== 401) throw error;
          from.reject(token);
          return this.#parts.exchange(await from.get(signal), id, signal);
        }
      });
      this.#exchanged.set(id, tokens);
    }
    return tokens;
  }
}

/** The tokens that one request tries, until one is accepted. */
export class RequestTokens {
  readonly #vaultName: string;
  readonly #purpose: VaultPurpose;
  readonly #candidates: readonly Candidate[];
  readonly #refused = new Set<Candidate>();
  readonly #renewals = new Map<Candidate, TokenRenewal>();
  #current: Candidate | undefined;
  #token: Token | undefined;

  constructor(vaultName: string, candidates: readonly Candidate[], purpose: VaultPurpose) {
    this.#vaultName = vaultName;
    this.#candidates = candidates;
    this.#purpose = purpose;
  }

  /** The token to be sent now. Rejects as the last kind of token does that is left. */
  async get(signal: AbortSignal | undefined): Promise<Token> {
    for (;;) {
      const candidate = this.#next();
      this.#current = candidate;
      try {
        this.#token = await candidate.tokens.get(signal);
        return this.#token;
      } catch (error) {
        if (signal?.aborted === true || !(error instanceof RemoteError) || this.#isLast(candidate)) throw error;
        this.#skip(candidate, isRefusal(error) ? Infinity : performance.now() + pauseMs, error.message);
      }
    }
  }

  /**
   * True when a refusal is worth another request: with a new token, or with one of another kind. Of a kind that the vault never took
   * another token is no better, and nobody knows in which words it would be refused.
   */
  helps(error: ErrorReply): boolean {
    const [candidate, token] = [this.#current, this.#token];
    if (candidate === undefined || token === undefined) return false;
    if (!candidate.isProven && !this.#isLast(candidate)) {
      if (![400, 401, 403].includes(error.status)) return false;
      this.#refused.add(candidate);
      return true;
    }
    if (!asksForNewToken(error)) return false;
    const renewal = this.#renewals.get(candidate) ?? this.#renewalOf(candidate);
    this.#renewals.set(candidate, renewal);
    if (renewal.helps(error, token)) return true;
    if (this.#isLast(candidate)) return false;
    this.#refused.add(candidate);
    return true;
  }

  /** An upload may be refused for the spelling of its session key, too. */
  #renewalOf({ tokens }: Candidate): TokenRenewal {
    return new TokenRenewal(tokens, { isOnce: this.#purpose === 'upload' });
  }

  /** Begins again with the first kind of token: something else of the request was changed. */
  restart(): void {
    this.#refused.clear();
  }

  /** Begins anew with the first kind of token, whatever became of it before: somebody signed in again, perhaps at another machine. */
  signedInAgain(): void {
    this.restart();
    this.#renewals.clear();
    for (const candidate of this.#candidates.slice(0, -1)) {
      Object.assign(candidate, { skippedUntilMs: 0, isProven: false });
      candidate.tokens.forget();
      candidate.tokens.forgetRefusal();
    }
  }

  /** The vault took this one: those that it refused before are not sent there any more. */
  accepted(): void {
    if (this.#current !== undefined) this.#current.isProven = true;
    if (this.#token !== undefined) this.#current?.tokens.accepted(this.#token);
    for (const candidate of this.#refused)
      this.#skip(candidate, Infinity, `the vault takes ${this.#current?.name ?? ''}`);
    this.#refused.clear();
  }

  #next(): Candidate {
    const now = performance.now();
    const able = this.#candidates.find((one) => !this.#refused.has(one) && now >= one.skippedUntilMs);
    return able ?? (this.#candidates.at(-1) as Candidate);
  }

  #isLast(candidate: Candidate): boolean {
    return candidate === this.#candidates.at(-1);
  }

  #skip(candidate: Candidate, untilMs: number, why: string): void {
    candidate.skippedUntilMs = untilMs;
    const howLong = untilMs === Infinity ? 'not used' : 'not used for a while';
    log('vault %s: %s is %s: %s', this.#vaultName, candidate.name, howLong, why);
  }
}

/** The gateway answered, and said no. */
function isRefusal(error: RemoteError): boolean {
  if (error instanceof ReplyError)
    return error.status < 500 && error.kind !== 'throttled' && error.kind !== 'unavailable';
  return error.kind === 'unauthenticated' || error.kind === 'protocol';
}

/** Whether some address is of another owner than the gateway, as far as names tell. */
function isOutside(urls: readonly URL[], gateway: URL): boolean {
  return urls.some((url) => url.hostname !== gateway.hostname && !(isVendorHost(url) && isVendorHost(gateway)));
}
