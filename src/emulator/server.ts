// One listening port: takes a request through counting, faults, latency, limits, its handler and out again.
// Promises: every request gets a reply, a broken connection where a fault says so, or a 500 with the cause logged; stop()
// closes every socket. Must not know: what the calls mean.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delay } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import { findRoute, readBody } from './call.ts';
import type { Route } from './call.ts';
import type { CallCounter } from './call-counts.ts';
import type { FaultAction, Faults } from './faults.ts';
import type { Line } from './line.ts';
import { faultBody, Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import { send, untilGone } from './sender.ts';
import type { Throttle } from './throttle.ts';
import type { Tokens } from './tokens.ts';

const log = createLog('emulator');

export interface ServerOptions {
  readonly side: 'gateway' | 'vault';
  readonly routes: readonly Route[];
  /** Calls answered without counting, faults, latency or limits. */
  readonly adminRoutes?: readonly Route[];
  readonly replies: ReplyWriter;
  readonly counter: CallCounter;
  readonly faults: Faults;
  readonly tokens: Tokens;
  readonly throttle: Throttle | undefined;
  readonly latencyMs: number;
  readonly line: Line | undefined;
}

// Longer than clients keep idle connections, so that it is they who close and no request meets a closing socket.
const KEEP_ALIVE_MS = 120_000;
const SOCKET_BUFFER_BYTES = 1024 * 1024;

export class EmulatedServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #stopping = new AbortController();

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#server = createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS, highWaterMark: SOCKET_BUFFER_BYTES },
      (request, response) => void this.#serve(request, response),
    );
  }

  /** Listens and answers the port's base URL. Port 0 takes a free one. */
  listen(host: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        const { port: bound } = this.#server.address() as AddressInfo;
        resolve(`http://${host.includes(':') ? `[${host}]` : host}:${bound}`);
      });
    });
  }

  stop(): Promise<void> {
    this.#stopping.abort(new Error('the emulator stops'));
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const left = new AbortController();
    response.once('close', () => left.abort(new Error('the connection closed')));
    const gone = AbortSignal.any([left.signal, this.#stopping.signal]);
    let reply: Reply | undefined;
    try {
      const outcome = await this.#reply(request, gone);
      if (outcome.reply === undefined) {
        if (outcome.fault?.kind === 'hang') await untilGone(gone);
        else request.socket.resetAndDestroy();
        return;
      }
      reply = outcome.reply;
      const { counter, line, replies, side } = this.#options;
      await send(response, reply, {
        transfer: replies.dialect.transfer,
        fault: outcome.fault,
        line: side === 'vault' ? line : undefined,
        gone,
        onBytes: (bytes) => {
          if (side === 'vault') counter.countVaultBytes(bytes);
        },
      });
    } catch (error) {
      if (!gone.aborted)
        log('%s %s broke off: %O', request.method, new URL(request.url ?? '/', 'http://h').pathname, error);
      response.destroy();
    } finally {
      await reply?.done?.();
      // What a handler did not read must not stand before the next request on this connection.
      request.resume();
    }
  }

  async #reply(
    request: IncomingMessage,
    gone: AbortSignal,
  ): Promise<{ reply: Reply | undefined; fault: FaultAction | undefined }> {
    const { adminRoutes = [], counter, faults, latencyMs, replies, routes, side, throttle, tokens } = this.#options;
    const method = request.method ?? 'GET';
    const url = new URL(request.url ?? '/', 'http://emulator.invalid');
    const body = (): Promise<string> => readBody(request);
    const admin = findRoute(adminRoutes, method, url.pathname);
    if ('route' in admin) {
      const { headers } = request;
      return {
        reply: await this.#handled(() => admin.route.handle({ method, url, headers, segments: [], body })),
        fault: undefined,
      };
    }
    const found = findRoute(routes, method, url.pathname);
    const endpoint = 'route' in found ? found.route.endpoint : found.endpoint;
    counter.count(endpoint, side === 'gateway');
    const fault = faults.take(endpoint);
    if (latencyMs > 0) await delay(latencyMs, gone);
    switch (fault?.kind) {
      case 'hang':
      case 'reset':
        return { reply: undefined, fault };
      case 'slow':
        await delay(fault.delayMs, gone);
        break;
      case 'throttle':
        counter.countThrottled();
        return { reply: throttled('Spike arrest violation. Allowed rate : 15ps', fault.retryAfterSeconds ?? 1), fault };
      case 'status': {
        const headers: Record<string, string> =
          fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(fault.retryAfterSeconds) };
        return { reply: replies.refusal(new Refusal(fault.status, fault.text ?? 'Injected fault', headers)), fault };
      }
      case 'expired-token':
        tokens.end(request.headers.authorization);
        break;
      default:
        break;
    }
    const refused = throttle?.admit();
    if (refused !== undefined) {
      counter.countThrottled();
      return { reply: throttled(refused.text, refused.retryAfterSeconds, refused.code), fault };
    }
    const reply = await this.#handled(() => {
      if ('refusal' in found) throw found.refusal;
      return found.route.handle({ method, url, headers: request.headers, segments: found.segments, body });
    });
    return { reply, fault };
  }

  async #handled(handle: () => Promise<Reply>): Promise<Reply> {
    try {
      return await handle();
    } catch (error) {
      if (error instanceof Refusal) return this.#options.replies.refusal(error);
      log('a handler failed: %O', error);
      return this.#options.replies.refusal(new Refusal(500, 'Internal Server Error'));
    }
  }
}

function throttled(text: string, retryAfterSeconds: number, code = 'policies.ratelimit.SpikeArrestViolation'): Reply {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (retryAfterSeconds > 0) headers['Retry-After'] = String(retryAfterSeconds);
  return { status: 429, headers, body: faultBody(text, code) };
}
