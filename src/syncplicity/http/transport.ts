// One HTTP request and its reply, over pooled connections: proxies, certificate authorities, time limits, abort. Follows no
// redirect and repeats nothing. Knows neither tokens nor calls; its errors name the host, never a path or a header.
import type { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { namesLoopback } from '../../base/loopback.ts';
import { abortReason, isAbort } from '../../base/abort.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { Timeouts } from '../options.ts';
import { BodyProgress } from './body-progress.ts';
import type { SentPart, StreamedBody } from './body-progress.ts';
import { acceptedEncodings, decodedBody } from './decoded-body.ts';
import { type DepartingOptions, tellDeparture } from './departure.ts';
import { ReadyConnections } from './ready-connections.ts';
import { RequestWatch, StalledError } from './request-watch.ts';
import { Agent, type Dispatcher, EnvHttpProxyAgent, errors } from './undici.ts';

/** Gateway and vaults have pools of their own, so that downloads never hold up calls. */
export type PoolName = 'gateway' | 'vault';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface HttpRequest {
  readonly pool: PoolName;
  readonly method: HttpMethod;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | StreamedBody | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told as the request's head is handed to its connection, which may have had to be made first. Only of the gateway. */
  readonly onDeparture?: (() => void) | undefined;
}

/** A vault's own time for a small body: as for any reply. */
const uploadReplyBaseMs = 60_000;
/** The last megabytes still leave the kernel's buffer when all are taken, over lines of 1 Mbit/s too, and a vault takes its time with many. */
const slowestBytesPerMs = 128;

/** How long after the last piece of a body of this length its reply may come: a vault that hangs is not waited for as for a long file. */
export function uploadReplyLimitMs(lengthBytes: number): number {
  return uploadReplyBaseMs + lengthBytes / slowestBytesPerMs;
}

/** No reply came, or it broke off. */
export class NoReplyError extends RemoteError {
  readonly sent: SentPart;
  constructor(message: string, sent: SentPart, options?: { cause?: unknown }) {
    super('unavailable', message, options);
    this.sent = sent;
  }
}

/** The request never left this machine: nobody knows of it. */
export function wasNeverSent(error: unknown): boolean {
  return error instanceof NoReplyError && error.sent === 'nothing';
}

export type ReplyHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface HttpReply {
  readonly status: number;
  /** The reason phrase; empty where the server sends none. */
  readonly reason: string;
  readonly headers: ReplyHeaders;
  /** Of the gateway decoded, of vaults as it comes. */
  readonly body: Readable;
}

export interface TransportOptions {
  readonly timeouts: Timeouts;
  readonly ca: string | undefined;
  readonly proxyEnvironment: Readonly<Record<string, string | undefined>>;
  readonly proxyLoopback: boolean;
  readonly userAgent: string;
  /** App keys that call the gateway, each at a pace of its own. Default: 1. */
  readonly callers?: number;
  /** Told of every reply and of every request that got none. */
  readonly watcher: { answered(): void; unreachable(error: Error): void };
}

/** Connections to one host: the gateway serves 15 calls a second; a vault also holds streams that wait for their reader. */
const connectionsPerHost: Readonly<Record<PoolName, number>> = { gateway: 16, vault: 64 };

/** Longer than the pause between two listings of a walking user, shorter than most load balancers' patience. */
const keepAliveMs = 30_000;

export class HttpTransport {
  #dispatchers: Dispatchers;
  readonly #options: TransportOptions;
  readonly #stopping = new AbortController();

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#dispatchers = dispatchers(options);
  }

  /**
   * Sends one request; resolves with the reply's headers and its unread body, which the caller must read or destroy. Rejects
   * with RemoteError `unavailable` when no reply comes, or with the signal's reason.
   */
  async send(request: HttpRequest): Promise<HttpReply> {
    if (request.signal?.aborted === true) throw abortReason(request.signal);
    const dispatcher = this.#dispatchers[this.#way(request.url)][request.pool];
    const { connectMs, headersMs, stallMs, uploadReplyMs, bodyIdleMs } = this.#options.timeouts;
    const isStreamed = typeof request.body === 'object';
    const watch = new RequestWatch(request.signal);
    watch.awaitReply(connectMs + (isStreamed ? stallMs : headersMs));
    const body = typeof request.body === 'object' ? new BodyProgress(request.body) : undefined;
    const replyMs = Math.min(uploadReplyMs, uploadReplyLimitMs(body?.lengthBytes ?? 0));
    // Each piece that the connection takes is progress; after the last one the server may think for a while.
    const taken = (isLast: boolean): void => (isLast ? watch.awaitReply(replyMs) : watch.awaitProgress(stallMs));
    // The library takes any async iterable, its types only streams.
    const pieces = body?.pieces(taken) as AsyncIterable<Uint8Array> as Readable | undefined;
    try {
      const options: DepartingOptions = {
        origin: request.url.origin,
        path: request.url.pathname + request.url.search,
        method: request.method,
        headers: {
          'user-agent': this.#options.userAgent,
          // Lengths of content are checked, and files mostly are compressed already.
          'accept-encoding': request.pool === 'gateway' ? acceptedEncodings : 'identity',
          ...(body === undefined ? {} : { 'content-length': String(body.lengthBytes) }),
          ...request.headers,
        },
        body: pieces ?? (request.body as string | undefined) ?? null,
        signal: watch.signal,
        // A streamed body is watched from here: the library's limit would end an upload whose line stands still for a moment.
        headersTimeout: isStreamed ? 0 : headersMs,
        bodyTimeout: bodyIdleMs,
        highWaterMark: 256 * 1024,
        onDeparture: request.onDeparture,
      };
      const reply = await dispatcher.request(options);
      watch.reached();
      reply.body.once('close', () => watch.release());
      this.#options.watcher.answered();
      // A body destroyed before its end reports that as an error; whoever reads it sees it through the iteration.
      reply.body.on('error', ignoreBodyError);
      return {
        status: reply.statusCode,
        reason: reply.statusText,
        headers: reply.headers,
        body: request.pool === 'vault' ? reply.body : decoded(reply, request.url),
      };
    } catch (error) {
      watch.release();
      // What the source of the body threw: no news of the server.
      if (body?.failure !== undefined && !isAbort(body.failure, request.signal)) throw body.failure;
      throw this.failure(error, request.url, request.signal, body?.sent ?? sentBefore(error));
    }
  }

  /**
   * What a failed request or a broken body becomes: the signal's reason after an abort, else {@link NoReplyError}. `sent` is
   * how much of the request had left; all of it, where a reply broke off.
   */
  failure(error: unknown, url: URL, signal: AbortSignal | undefined, sent: SentPart = 'all'): Error {
    if (error instanceof RemoteError) return error;
    if (signal?.aborted === true) return abortReason(signal);
    if (this.#stopping.signal.aborted) return new NoReplyError('the drive is being stopped', sent);
    if (isAbort(error) && error instanceof Error && !(error instanceof errors.UndiciError)) return error;
    const failure = new NoReplyError(`no answer from ${url.host}: ${describe(error)}`, sent, { cause: error });
    this.#options.watcher.unreachable(failure);
    return failure;
  }

  /** Makes a connection to a vault ready for a request to come, unless one is idle or a proxy may stand in between. Never fails. */
  prepareVault(url: URL): void {
    const { direct, readyVaults, ...ways } = this.#dispatchers;
    const isProxied = this.#way(url) === 'proxied' && ways.proxied.vault !== direct.vault;
    if (isProxied || this.#stopping.signal.aborted) return;
    readyVaults.prepare(url, () => {
      const host = direct.vault.stats[url.origin];
      return host !== undefined && 'free' in host && host.free > 0;
    });
  }

  /** Breaks every connection, for all of them are dead after a sleep. Requests under way reject; later ones connect anew. */
  async reconnect(): Promise<void> {
    const former = this.#dispatchers;
    this.#dispatchers = dispatchers(this.#options);
    await destroyed(former);
  }

  /** Breaks every connection. Requests under way reject. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await destroyed(this.#dispatchers);
  }

  #way(url: URL): 'direct' | 'proxied' {
    return namesLoopback(url.hostname) && !this.#options.proxyLoopback ? 'direct' : 'proxied';
  }
}

interface Dispatchers {
  /** Without a proxy. */
  readonly direct: { readonly gateway: Dispatcher; readonly vault: Agent };
  /** As the environment has it. */
  readonly proxied: Readonly<Record<PoolName, Dispatcher>>;
  readonly readyVaults: ReadyConnections;
}

function dispatchers(options: TransportOptions): Dispatchers {
  const readyVaults = new ReadyConnections(tlsOptions(options));
  const direct = {
    gateway: new Agent(agentOptions('gateway', options)).compose(tellDeparture),
    vault: new Agent({ ...agentOptions('vault', options), connect: readyVaults.connect }),
  };
  const proxied = {
    gateway: proxyAgent('gateway', options)?.compose(tellDeparture) ?? direct.gateway,
    vault: proxyAgent('vault', options) ?? direct.vault,
  };
  return { direct, proxied, readyVaults };
}

async function destroyed({ direct, proxied, readyVaults }: Dispatchers): Promise<void> {
  readyVaults.stop();
  const all = new Set([...Object.values(direct), ...Object.values(proxied)]);
  await Promise.all([...all].map((dispatcher) => dispatcher.destroy()));
}

function decoded(reply: Dispatcher.ResponseData, url: URL): Readable {
  const encoding = reply.headers['content-encoding'];
  const name = Array.isArray(encoding) ? encoding.join(', ') : encoding;
  const body = decodedBody(reply.body, name);
  if (body === undefined) {
    reply.body.destroy();
    throw new RemoteError('protocol', `${url.host} answered in an encoding that was not asked for: ${name ?? ''}`);
  }
  if (body !== reply.body) body.on('error', ignoreBodyError);
  return body;
}

function agentOptions(pool: PoolName, options: TransportOptions): Agent.Options {
  return {
    connections: connectionsPerHost[pool] * (pool === 'gateway' ? (options.callers ?? 1) : 1),
    keepAliveTimeout: keepAliveMs,
    pipelining: 1,
    connect: tlsOptions(options),
  };
}

function tlsOptions(options: TransportOptions): { timeout: number; minVersion: 'TLSv1.2'; ca?: string[] } {
  return {
    timeout: options.timeouts.connectMs,
    minVersion: 'TLSv1.2',
    ...(options.ca === undefined ? {} : { ca: [...rootCertificates, options.ca] }),
  };
}

function proxyAgent(pool: PoolName, options: TransportOptions): Dispatcher | undefined {
  const value = (name: string): string =>
    options.proxyEnvironment[name.toLowerCase()] ?? options.proxyEnvironment[name] ?? '';
  const httpProxy = value('HTTP_PROXY');
  const httpsProxy = value('HTTPS_PROXY');
  if (httpProxy === '' && httpsProxy === '') return undefined;
  return new EnvHttpProxyAgent({
    ...agentOptions(pool, options),
    httpProxy,
    httpsProxy,
    noProxy: value('NO_PROXY'),
    requestTls: tlsOptions(options),
    proxyTls: tlsOptions(options),
  });
}

/** For a request in one piece: nothing had left where no connection came about, else perhaps all of it. */
function sentBefore(error: unknown): SentPart {
  if (error instanceof errors.ConnectTimeoutError) return 'nothing';
  const found = error as { readonly syscall?: unknown; readonly code?: unknown } | undefined;
  if (found?.syscall === 'connect' || found?.syscall === 'getaddrinfo') return 'nothing';
  return typeof found?.code === 'string' && unconnected.has(found.code) ? 'nothing' : 'all';
}

/** Codes of errors that come before a request is written. */
const unconnected: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/** What went wrong on the wire, in words a user can act on. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof errors.ConnectTimeoutError) return 'connecting took too long';
  if (error instanceof errors.HeadersTimeoutError) return 'the reply took too long';
  if (error instanceof StalledError) return 'what was to be sent was not taken for too long';
  if (error instanceof errors.BodyTimeoutError) return 'the reply stood still for too long';
  const code: unknown = 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
    case 'EPIPE':
      return 'the connection broke';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name cannot be resolved';
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
      return 'the network is unreachable';
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `its certificate is not trusted (${code}): name your certificate authority with --ca-file`;
    default:
      return typeof code === 'string' ? `${error.message} (${code})` : error.message;
  }
}

function ignoreBodyError(): void {
  // Deliberately empty: the same error reaches the reader of the body.
}
