// The address where Prometheus asks. Promises: nobody holds the daemon up, however many come and however slowly they read; from a loopback
// address nothing goes to a page of some site that lets its name point here. Knows no metric.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { listenOn } from '../base/listening.ts';
import { createLog } from '../base/log.ts';
import { isLoopbackAddress, namesLoopback } from '../base/loopback.ts';

const log = createLog('metrics');

const PATH = '/metrics';

/** How far those who ask may go. */
export interface ServerLimits {
  readonly connectionsMax: number;
  /** From the first byte asked to the last one answered. */
  readonly connectionMs: number;
}

/** Prometheus, its spare and a person looking; Prometheus itself gives up after 10 s, where nobody tells it otherwise. */
const USUAL_LIMITS: ServerLimits = { connectionsMax: 16, connectionMs: 10_000 };
const HEADER_BYTES_MAX = 8 * 1024;

/** What is told to whoever asks. */
export interface Page {
  readonly contentType: string;
  readonly text: string;
}

export interface MetricsServer {
  /** The bound address, for example "http://127.0.0.1:9470/metrics". */
  readonly url: string;
  readonly isLoopback: boolean;
  /** Frees the address; who is being answered is cut off. */
  stop(): Promise<void>;
}

/** Listens. `page` is undefined as long as there is nothing to tell. Rejects with one line for the user. */
export async function serveMetrics(
  { host, port }: { readonly host: string; readonly port: number },
  page: () => Promise<Page> | undefined,
  { connectionsMax, connectionMs }: ServerLimits = USUAL_LIMITS,
): Promise<MetricsServer> {
  let isLoopback = true;
  const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => {
    answer(request, response, isLoopback, page).catch((error: unknown) => {
      log('%s', error instanceof Error ? error.stack : error);
      if (response.headersSent) response.destroy();
      else say(response, 500, 'the numbers could not be gathered: the log of the mount says why\n');
    });
  });
  server.maxConnections = connectionsMax;
  // What somebody sends behind a question is not read, let alone kept.
  server.maxRequestsPerSocket = 1;
  server.on('connection', (socket) => limitLife(socket, connectionMs));
  const bound = await listenOn(server, { host, port }).catch((error: unknown) => {
    const reason = reasonOf(error as NodeJS.ErrnoException);
    throw new Error(`metrics cannot be told at ${authority(host, port)}: ${reason}`, { cause: error });
  });
  server.on('error', (error) => log('%s', error.message));
  isLoopback = isLoopbackAddress(bound.address);
  return { url: `http://${authority(bound.address, bound.port)}${PATH}`, isLoopback, stop: bound.stop };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  isLoopback: boolean,
  page: () => Promise<Page> | undefined,
): Promise<void> {
  if (isLoopback && !namesLoopback(request.headers.host)) {
    say(response, 403, 'this address is for this machine: ask for it as 127.0.0.1 or localhost\n');
    return;
  }
  if (request.url?.split('?')[0] !== PATH) {
    say(response, 404, `there is nothing here but ${PATH}\n`);
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    say(response, 405, 'only GET and HEAD\n');
    return;
  }
  const found = page();
  if (found === undefined) say(response, 503, 'the mount does not answer yet\n');
  else {
    const { contentType, text } = await found;
    say(response, 200, text, contentType);
  }
}

/** One answer a connection: idle ones would take places from others. */
function say(response: ServerResponse, status: number, text: string, contentType = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  response.end(text);
}

/** Whoever sends or reads a byte now and then is cut off as well. */
function limitLife(socket: Socket, lifeMs: number): void {
  const timer = setTimeout(() => socket.destroy(), lifeMs);
  timer.unref();
  socket.on('close', () => clearTimeout(timer));
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another program, or another mount, has this address; choose another port, or 0 for a free one';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address; 127.0.0.1 is there always';
    case 'EACCES':
      return 'ports below 1024 are for root; choose another one';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no host of that name; 127.0.0.1 is there always';
    default:
      return message;
  }
}

function authority(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
