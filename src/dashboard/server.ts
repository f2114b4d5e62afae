// The dashboard's HTTP: the page, one stream of what the mounts do, one door for what the user has them do. Promises: listens on one
// address of loopback alone, tells nothing of a mount without the token, and leaves nothing running after stop(). Must not know how mounts are asked.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createLog } from '../base/log.ts';
import { listenOn } from '../base/listening.ts';
import { act, actionIn, type ActionPlaces } from './actions.ts';
import type { Asset } from './assets.ts';
import { Guard, newToken, type Refusal } from './guard.ts';
import { MountWatch, type MountWatchOptions } from './mount-watch.ts';
import type { ActionOutcome, Problem } from './view.ts';

/** A path of the drive and a few words; whoever sends more is not our page. */
const BODY_LIMIT_BYTES = 32 * 1024;
const HEADERS_LIMIT_BYTES = 16 * 1024;
/** A few pages with a stream each, and what they fetch besides; others of this machine may connect as well. */
const CONNECTIONS_MAX = 64;
const STREAMS_MAX = 16;
/** Actions under way; people click one at a time. */
const ACTIONS_MAX = 16;
/** A request is a few hundred bytes over loopback. Whoever is slower than this only holds the connection. */
const REQUEST_TIMEOUT_MS = 5_000;
/** What a page that does not read may hold here, before it is cut off. */
const UNREAD_LIMIT_BYTES = 8 * 2 ** 20;

const HEADERS = {
  // Everything comes from this origin; no script or style stands in the page itself, and no text becomes a script.
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export interface DashboardOptions extends MountWatchOptions, ActionPlaces {
  readonly assets: ReadonlyMap<string, Asset>;
  /** An address of loopback. */
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

export interface Dashboard {
  /** Without the token. */
  readonly url: string;
  /** What lets a page in: a secret of this user. */
  readonly token: string;
  stop(): Promise<void>;
}

const log = createLog('dashboard');

/** Serves until it is stopped. Rejects where the port cannot be had. */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const watch = new MountWatch(options);
  const token = newToken();
  const stopping = new AbortController();
  const running = { streams: 0, actions: 0 };
  // Which names are its own shows when it listens.
  const ready: { guard?: Guard } = {};
  const server = createServer(
    {
      maxHeaderSize: HEADERS_LIMIT_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
      const { guard } = ready;
      if (guard === undefined) refuse(response, { status: 503, text: 'The server is not ready.' });
      else serve(request, response, { ...options, watch, guard, signal: stopping.signal, running });
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  const { host } = options;
  const { port, stop } = await listenOn(server, { host, port: options.port });
  ready.guard = new Guard({ host, port }, token);
  return {
    url: `http://${host}:${port}/`,
    token,
    stop: async () => {
      stopping.abort(new Error('the dashboard ends'));
      await watch.stop();
      await stop();
    },
  };
}

interface Service extends ActionPlaces {
  readonly assets: ReadonlyMap<string, Asset>;
  readonly watch: MountWatch;
  readonly guard: Guard;
  readonly signal: AbortSignal;
  readonly running: { streams: number; actions: number };
}

function serve(request: IncomingMessage, response: ServerResponse, service: Service): void {
  const { guard, assets } = service;
  // The query is nobody's: a token in it would not be looked at.
  const path = (request.url ?? '').split('?', 1)[0] as string;
  const refusal = guard.refusesHost(request);
  if (refusal !== undefined) {
    refuse(response, refusal);
    return;
  }
  const asset = assets.get(path);
  if (path === '/api/updates' && request.method === 'GET') stream(request, response, service);
  else if (path === '/api/actions' && request.method === 'POST') void take(request, response, service);
  else if (asset !== undefined && (request.method === 'GET' || request.method === 'HEAD')) {
    response.writeHead(200, { 'content-type': asset.type, 'content-length': asset.content.byteLength });
    response.end(request.method === 'HEAD' ? undefined : asset.content);
  } else refuse(response, { status: 404, text: 'There is nothing here.' });
}

/** One line of JSON a second, for as long as the page reads. */
function stream(request: IncomingMessage, response: ServerResponse, { watch, guard, running }: Service): void {
  const refusal = guard.refusesReading(request);
  if (refusal !== undefined) {
    refuse(response, refusal);
    return;
  }
  if (running.streams >= STREAMS_MAX) {
    refuse(response, { status: 503, text: `More than ${STREAMS_MAX} pages are open: close some.` });
    return;
  }
  running.streams += 1;
  response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
  response.flushHeaders();
  const leave = watch.watch((update) => {
    response.write(`${JSON.stringify(update)}\n`);
    if (response.writableLength > UNREAD_LIMIT_BYTES) response.destroy();
  });
  response.once('close', () => {
    leave();
    running.streams -= 1;
  });
}

/** Never rejects. */
async function take(request: IncomingMessage, response: ServerResponse, service: Service): Promise<void> {
  const { guard, running, signal } = service;
  const refusal = guard.refusesChanging(request);
  if (refusal !== undefined) {
    refuse(response, refusal);
    return;
  }
  if (running.actions >= ACTIONS_MAX) {
    refuse(response, { status: 503, text: 'Too much at once: wait for what is under way.' });
    return;
  }
  running.actions += 1;
  try {
    const body = await readBody(request);
    const action = body === undefined ? undefined : actionIn(body);
    if (action === undefined) {
      refuse(response, { status: 400, text: 'That is no action of this page.' });
      return;
    }
    answer(response, 200, await act(service, action, signal));
  } catch (error) {
    log('action: %s', error);
    // What the mount says of it is for the user.
    answer(response, 409, { problem: error instanceof Error ? error.message : String(error) });
  } finally {
    running.actions -= 1;
  }
}

/** JSON of a limited size; undefined for anything else. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json(;|$)/.test(request.headers['content-type'] ?? '')) return undefined;
  const chunks: Buffer[] = [];
  let lengthBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    lengthBytes += chunk.byteLength;
    if (lengthBytes > BODY_LIMIT_BYTES) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    // Told as what is no action at all.
    return undefined;
  }
}

function refuse(response: ServerResponse, refusal: Omit<Refusal, 'status'> & { readonly status: number }): void {
  // Whatever else it sends is not read.
  response.setHeader('connection', 'close');
  answer(response, refusal.status, { problem: refusal.text });
}

function answer(response: ServerResponse, status: number, value: ActionOutcome | Problem): void {
  if (response.destroyed || response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(`${JSON.stringify(value)}\n`);
}
