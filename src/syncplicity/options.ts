// What a Syncplicity drive is made from: credentials, addresses, limits. Values only; secrets live here and in the tokens,
// never in a message, a log or a URL.
import type { CallClass, VaultId } from '../remote-drive.ts';

/** A user's sign-in with a browser, wherever its refresh token is kept: processes that share it must not renew it at once. */
export interface Login {
  /**
   * Runs `work` with the present refresh token while nobody else does, and keeps `next`, the one that takes its place. Rejects as
   * `work` does.
   */
  renew<T>(
    work: (refreshToken: string) => Promise<{ readonly value: T; readonly next: string | undefined }>,
  ): Promise<T>;
  /** The present refresh token: another one than was refused is worth a try. */
  peek(): Promise<string>;
  /** What to do when the service takes the token no more, to stand at the end of a message. */
  readonly remedy: string;
}

/** A user's sign-ins at vaults with authentication of their own, wherever they are kept: there may be newer ones now. */
export interface StorageSignIns {
  /** The token for a vault, as it is stored now. */
  tokenFor(vaultId: VaultId): Promise<string | undefined>;
  /** The token of the machine that the sign-ins are of, as it is stored now. */
  machineToken(): Promise<string | undefined>;
  /** What to do where there is none or it is over, to stand at the end of a message. */
  readonly remedy: string;
}

/**
 * Who calls. One of `login`, `appToken` and `machineToken` is needed; the first one of them that is given is used, the machine's at vaults
 * with authentication of their own in any case.
 */
export interface SyncplicityCredentials {
  /** App Key. */
  readonly clientId: string;
  /** App Secret. */
  readonly clientSecret: string;
  /** Application Token of the user's account page (`Sync-App-Token`). */
  readonly appToken?: string | undefined;
  /** Token of a registered machine (`Sync-Machine-Token`). */
  readonly machineToken?: string | undefined;
  /** Storage token for vaults with authentication (`Syncplicity-Storage-Authorization`). */
  readonly storageToken?: string | undefined;
  /** In the place of `storageToken`, where each vault has a token of its own. */
  readonly storage?: StorageSignIns | undefined;
  readonly login?: Login | undefined;
  /** GUID or e-mail address of the user to act for: sent as `As-User`. */
  readonly asUser?: string | undefined;
  /** Finds the home ROL through the GOL where no `apiUrl` is given. */
  readonly email?: string | undefined;
}

/** How long one step of a request may take, milliseconds. */
export interface Timeouts {
  readonly connectMs: number;
  /** From the request to the reply's headers. */
  readonly headersMs: number;
  /** Between two pieces of a body, while somebody reads. */
  readonly bodyIdleMs: number;
  /** While a body is sent: between two pieces that the connection takes. */
  readonly stallMs: number;
  /** From the last piece of a body sent to the reply's headers, at most: small bodies are answered sooner. */
  readonly uploadReplyMs: number;
}

/** The allowance of one app key. */
export interface BudgetLimits {
  /** 0: no limit. */
  readonly perSecond: number;
  /** 0: no limit. */
  readonly perHour: number;
  /** Of the hourly allowance, what only interactive calls may use. */
  readonly interactiveReserve: number;
  /** First wait after a refusal (429) without a Retry-After, at most a second of it after a spike arrest; doubles with each further one. */
  readonly backoffMs: number;
  /** Longest a call of each class waits for its turn before it fails as `throttled`. */
  readonly waitMs: Readonly<Record<CallClass, number>>;
}

/** How fast content may pass over all connections together, bytes per second; 0: as fast as the line is. */
export interface BandwidthLimits {
  readonly upBytesPerSecond: number;
  readonly downBytesPerSecond: number;
}

/** Retries of calls that are safe to repeat. */
export interface RetryLimits {
  /** Tries in all. */
  readonly attempts: number;
  /** Before the second try; doubles with each further one, jittered. */
  readonly delayMs: number;
}

/** One app key with which an account is used. */
export interface MemberOptions {
  /** What tells it from the others of a pool between runs: no secret, for it is written beside unfinished uploads. */
  readonly id?: string | undefined;
  /** What messages call it. */
  readonly name?: string | undefined;
  readonly credentials: SyncplicityCredentials;
  /** Gateway of the home ROL. Default: the ROL found by `email`, else https://api.syncplicity.com. `http:` for loopback only. */
  readonly apiUrl?: string | undefined;
  /** Default: https://gol.syncplicity.com. */
  readonly golUrl?: string | undefined;
  /** File that keeps the hourly use of this app key between runs and shares it between processes. Default: not kept. */
  readonly stateFile?: string | undefined;
}

/** How the service is called, whoever calls. */
export interface ServiceOptions {
  /** PEM text of further certificate authorities. */
  readonly ca?: string | undefined;
  /** Where HTTPS_PROXY, HTTP_PROXY and NO_PROXY (either case) are read from. Default: the process's environment. */
  readonly proxyEnvironment?: Readonly<Record<string, string | undefined>> | undefined;
  /** Sends requests to loopback addresses through the proxy too. Default: never. */
  readonly proxyLoopback?: boolean | undefined;
  readonly timeouts?: Partial<Timeouts> | undefined;
  readonly budget?: Partial<BudgetLimits> | undefined;
  readonly retries?: Partial<RetryLimits> | undefined;
  /** Default: no limit. */
  readonly bandwidth?: BandwidthLimits | undefined;
  /** Default: syncplicityfs. */
  readonly userAgent?: string | undefined;
}

/** A drive of one connection. */
export interface SyncplicityOptions extends MemberOptions, ServiceOptions {}

/** A drive of several connections of one account. */
export interface PoolOptions extends ServiceOptions {
  readonly members: readonly [MemberOptions, ...MemberOptions[]];
  /** How long after it left a member is looked at for the first time; longer each further time. */
  readonly lookAfterMs?: number | undefined;
  /** A call that is not answered for so long makes its member prove that it answers at all. */
  readonly silenceMs?: number | undefined;
  /** Told in a line when a member is left out, and when it is back. */
  readonly report?: ((line: string) => void) | undefined;
}

export const defaultApiUrl = 'https://api.syncplicity.com';
/** The legacy host, which still registers machines. */
export const defaultXmlUrl = 'https://xml.syncplicity.com';
export const defaultGolUrl = 'https://gol.syncplicity.com';

export const defaultTimeouts: Timeouts = {
  /** A TCP and a TLS handshake take a few round trips; ten seconds survive one lost SYN at each. */
  connectMs: 10_000,
  /** A listing of 50,000 entries is put together before its first byte. */
  headersMs: 60_000,
  /** As long as a file system operation may take: a body that stands still for that long helps nobody. */
  bodyIdleMs: 30_000,
  /** A line that loses a few packets in a row sends nothing for half a minute. */
  stallMs: 60_000,
  /** The vault may put a file of gigabytes together. */
  uploadReplyMs: 300_000,
};

export const defaultBudget: BudgetLimits = {
  /** The guide's limits chapter: 15 calls a second and 10,800 an hour. */
  perSecond: 15,
  perHour: 10_800,
  /** About two minutes of a user's browsing at full pace while crawlers have eaten the rest. */
  interactiveReserve: 600,
  /** "Back off exponentially from 10 seconds" (development guidelines). */
  backoffMs: 10_000,
  waitMs: {
    /** --op-timeout's default: nobody waits longer. */
    interactive: 30_000,
    /** An allowance that is spent refills within the hour. */
    commit: 3_600_000,
    /** A prefetch that comes later than this was overtaken by the read it should serve. */
    prefetch: 60_000,
    background: 3_600_000,
  },
};

/** Ten seconds leave others twenty, before nobody waits any more. A listing of many entries may take as long to be put together. */
export const defaultSilenceMs = 10_000;

export const defaultRetries: RetryLimits = {
  /** Three repetitions bridge a connection dropped by a load balancer and a short restart, within an operation's timeout. */
  attempts: 4,
  delayMs: 250,
};
