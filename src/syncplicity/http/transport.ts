// One HTTP request and its reply, over pooled connections: proxies, certificate authorities, time limits, abort. Follows no
// redirect and repeats nothing. Knows neither tokens nor calls; its errors name the host, never a path or a header.
import { Agent, EnvHttpProxyAgent, errors } from 'undici';
import type { Dispatcher } from 'undici';
import type { Readable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { abortReason, isAbort } from '../../base/abort.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { Timeouts } from '../options.ts';
import { acceptedEncodings, decodedBody } from './decoded-body.ts';
import { isLoopback } from './service-url.ts';

/** Gateway and vaults have pools of their own, so that downloads never hold up calls. */
export type PoolName = 'gateway' | 'vault';

export interface HttpRequest {
  readonly pool: PoolName;
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
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
  /** Told of every reply and of every request that got none. */
  readonly watcher: { answered(): void; unreachable(error: Error): void };
}

/** Connections to one host: the gateway serves 15 calls a second; a vault also holds streams that wait for their reader. */
const connectionsPerHost: Readonly<Record<PoolName, number>> = { gateway: 16, vault: 64 };

/** Longer than the pause between two listings of a walking user, shorter than most load balancers' patience. */
const keepAliveMs = 30_000;

export class HttpTransport {
  readonly #direct: Readonly<Record<PoolName, Dispatcher>>;
  readonly #proxied: Readonly<Record<PoolName, Dispatcher>>;
  readonly #options: TransportOptions;
  readonly #stopping = new AbortController();

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#direct = { gateway: directAgent('gateway', options), vault: directAgent('vault', options) };
    const gateway = proxyAgent('gateway', options);
    const vault = proxyAgent('vault', options);
    this.#proxied = { gateway: gateway ?? this.#direct.gateway, vault: vault ?? this.#direct.vault };
  }

  /**
   * Sends one request; resolves with the reply's headers and its unread body, which the caller must read or destroy. Rejects
   * with RemoteError `unavailable` when no reply comes, or with the signal's reason.
   */
  async send(request: HttpRequest): Promise<HttpReply> {
    if (request.signal?.aborted === true) throw abortReason(request.signal);
    const loopback = isLoopback(request.url.hostname) && !this.#options.proxyLoopback;
    const dispatcher = (loopback ? this.#direct : this.#proxied)[request.pool];
    const { connectMs, headersMs } = this.#options.timeouts;
    const { signal, reached, release } = watch(request.signal, connectMs + headersMs);
    try {
      const reply = await dispatcher.request({
        origin: request.url.origin,
        path: request.url.pathname + request.url.search,
        method: request.method,
        headers: {
          'user-agent': this.#options.userAgent,
          // Lengths of content are checked, and files mostly are compressed already.
          'accept-encoding': request.pool === 'gateway' ? acceptedEncodings : 'identity',
          ...request.headers,
        },
        body: request.body ?? null,
        signal,
        headersTimeout: this.#options.timeouts.headersMs,
        bodyTimeout: this.#options.timeouts.bodyIdleMs,
        highWaterMark: 256 * 1024,
      });
      reached();
      reply.body.once('close', release);
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
      release();
      throw this.failure(error, request.url, request.signal);
    }
  }

  /** What a failed request or a broken body becomes: the signal's reason after an abort, else RemoteError `unavailable`. */
  failure(error: unknown, url: URL, signal: AbortSignal | undefined): Error {
    if (error instanceof RemoteError) return error;
    if (signal?.aborted === true) return abortReason(signal);
    if (this.#stopping.signal.aborted) return new RemoteError('unavailable', 'the drive is being stopped');
    if (isAbort(error) && error instanceof Error && !(error instanceof errors.UndiciError)) return error;
    const failure = new RemoteError('unavailable', `no answer from ${url.host}: ${describe(error)}`, { cause: error });
    this.#options.watcher.unreachable(failure);
    return failure;
  }

  /** Breaks every connection. Requests under way reject. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const all = new Set([...Object.values(this.#direct), ...Object.values(this.#proxied)]);
    await Promise.all([...all].map((dispatcher) => dispatcher.destroy()));
  }
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

/** The watch over one request: who may end it. */
interface Watch {
  readonly signal: AbortSignal;
  /** The headers are there: from now on only the caller ends it. */
  readonly reached: () => void;
  readonly release: () => void;
}

/**
 * Ends a request with its caller's signal, or when no headers came within `limitMs`. The limits of the HTTP library start with
 * a connection; it tries for ever to get one through a proxy that hangs up.
 */
function watch(caller: AbortSignal | undefined, limitMs: number): Watch {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new errors.HeadersTimeoutError()), limitMs);
  timer.unref();
  const onAbort = (): void => controller.abort(caller?.reason);
  caller?.addEventListener('abort', onAbort, { once: true });
  const reached = (): void => clearTimeout(timer);
  const release = (): void => {
    clearTimeout(timer);
    caller?.removeEventListener('abort', onAbort);
  };
  return { signal: controller.signal, reached, release };
}

function agentOptions(pool: PoolName, options: TransportOptions): Agent.Options {
  return {
    connections: connectionsPerHost[pool],
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

function directAgent(pool: PoolName, options: TransportOptions): Dispatcher {
  return new Agent(agentOptions(pool, options));
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

/** What went wrong on the wire, in words a user can act on. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof errors.ConnectTimeoutError) return 'connecting took too long';
  if (error instanceof errors.HeadersTimeoutError) return 'the reply took too long';
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
