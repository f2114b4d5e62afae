// One listening port: takes a request through counting, faults, latency, limits, its handler and out again.
// Promises: every request gets a reply, a broken connection where a fault says so, or a 500 with the cause logged; stop()
// closes every socket. Must not know: what the calls mean.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delay } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import { claimedApp, type Apps } from './apps.ts';
import { findRoute, readBody } from './call.ts';
import type { Route } from './call.ts';
import type { CallCounter } from './call-counts.ts';
import type { FaultAction, Faults, Strike } from './faults.ts';
import type { Line } from './line.ts';
import { faultBody, Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import { isWithinBody, requestBody, Struck } from './request-body.ts';
import { send, untilGone } from './sender.ts';
import { StoreRefusal } from './store.ts';
import type { Throttles } from './throttle.ts';
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
  readonly apps: Apps;
  readonly throttles: Throttles | undefined;
  readonly latencyMs: number;
  /** Carries the vault's replies. */
  readonly line: Line | undefined;
  /** Carries what the vault is sent. */
  readonly uplink: Line | undefined;
}

/** What becomes of a call: its reply, or none. */
interface Outcome {
  readonly reply: Reply | undefined;
  readonly fault: FaultAction | undefined;
}

// Longer than clients keep idle connections, so that it is they who close and no request meets a closing socket.
const KEEP_ALIVE_MS = 120_000;
const SOCKET_BUFFER_BYTES = 1024 * 1024;

export class EmulatedServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  readonly #stopping = new AbortController();
  readonly #serving = new Set<Promise<void>>();

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#server = createServer(
      // No limit on a request's time: an upload over a slow line takes as long as it takes.
      { keepAliveTimeout: KEEP_ALIVE_MS, highWaterMark: SOCKET_BUFFER_BYTES, requestTimeout: 0 },
      (request, response) => {
        const served = this.#serve(request, response).finally(() => this.#serving.delete(served));
        this.#serving.add(served);
      },
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

  /** Closes every socket; resolves when no handler runs any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the emulator stops'));
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    await Promise.all(this.#serving);
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

  async #reply(request: IncomingMessage, gone: AbortSignal): Promise<Outcome> {
    const { adminRoutes = [], apps, counter, faults, latencyMs, replies, routes, side, throttles } = this.#options;
    const method = request.method ?? 'GET';
    const url = new URL(request.url ?? '/', 'http://emulator.invalid');
    const { headers } = request;
    const admin = findRoute(adminRoutes, method, url.pathname);
    if ('route' in admin) {
      const stream = (): AsyncIterable<Buffer> => this.#body(request, undefined, gone);
      const call = { method, url, headers, segments: [], body: () => readBody(stream()), stream };
      return { reply: await this.#handled(() => admin.route.handle(call)), fault: undefined };
    }
    const found = findRoute(routes, method, url.pathname);
    const endpoint = 'route' in found ? found.route.endpoint : found.endpoint;
    const appKey = claimedApp(apps, headers);
    counter.count(endpoint, side === 'gateway', appKey);
    const fault = faults.take(endpoint, appKey);
    if (latencyMs > 0) await delay(latencyMs, gone);
    const within = isWithinBody(fault);
    const ended = fault === undefined || within ? undefined : await this.#strike(fault, request, gone);
    if (ended !== undefined) return ended;
    const refused = throttles?.of(appKey).admit();
    if (refused !== undefined) {
      counter.countThrottled();
      return { reply: throttled(refused.text, refused.retryAfterSeconds, refused.code), fault };
    }
    const stream = (): AsyncIterable<Buffer> => this.#body(request, within ? fault : undefined, gone);
    const segments = 'route' in found ? found.segments : [];
    const call = { method, url, headers, segments, body: () => readBody(stream()), stream };
    try {
      const reply = await this.#handled(() => {
        if ('refusal' in found) throw found.refusal;
        return found.route.handle(call);
      });
      if (fault?.kind !== 'lost-reply' && fault?.kind !== 'status-after') return { reply, fault };
      await reply.done?.();
      if (fault.kind === 'lost-reply') return { reply: undefined, fault };
      return { reply: replies.refusal(new Refusal(fault.status, fault.text ?? 'Injected fault')), fault };
    } catch (error) {
      if (error instanceof Struck) return { reply: error.reply, fault: error.strike };
      throw error;
    }
  }

  #body(request: IncomingMessage, strike: Strike | undefined, gone: AbortSignal): AsyncIterable<Buffer> {
    const { counter, side, uplink } = this.#options;
    return requestBody(request, {
      strike,
      line: uplink,
      gone,
      onBytes: (bytes) => {
        if (side === 'vault') counter.countVaultBytesIn(bytes);
      },
      onStrike: async (due) => {
        const ended = await this.#strike(due, request, gone);
        if (ended !== undefined) throw new Struck(due, ended.reply);
      },
    });
  }

  /** Carries out what a fault does before or within a call; undefined: the call goes on. */
  async #strike(fault: Strike, request: IncomingMessage, gone: AbortSignal): Promise<Outcome | undefined> {
    const { counter, replies, tokens } = this.#options;
    switch (fault.kind) {
      case 'hang':
      case 'reset':
      case 'cut-request':
        return { reply: undefined, fault };
      case 'slow':
        await delay(fault.delayMs, gone);
        return undefined;
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
        return undefined;
      case 'truncate':
      case 'short':
      case 'stall':
      case 'garbage-json':
      case 'lost-reply':
      case 'status-after':
        // These strike when the call is done.
        return undefined;
    }
  }

  async #handled(handle: () => Promise<Reply>): Promise<Reply> {
    try {
      return await handle();
    } catch (error) {
      if (error instanceof Struck) throw error;
      if (error instanceof Refusal) return this.#options.replies.refusal(error);
      if (error instanceof StoreRefusal && error.reason === 'away')
        return this.#options.replies.refusal(new Refusal(503, error.message));
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
