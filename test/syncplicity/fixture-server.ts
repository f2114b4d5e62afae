// A small Syncplicity of canned replies over real HTTP, for the client's tests: gateway and vault in one, every request
// recorded. Written from the documents; shares nothing with the emulator.
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createPoolDrive, createSyncplicityDrive } from '../../src/syncplicity/drive.ts';
import type { PoolDrive, SyncplicityDrive } from '../../src/syncplicity/drive.ts';
import type { MemberOptions, PoolOptions, SyncplicityOptions } from '../../src/syncplicity/options.ts';

export interface Recorded {
  readonly method: string;
  /** As it came. */
  readonly url: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly bytes: Buffer;
  readonly atMs: number;
}

/** Answers one request; returns false to leave it to the routes below. */
export type Route = (request: Recorded, response: ServerResponse) => boolean | Promise<boolean>;

export const userId = '7dae61c7-bf7a-499b-8ede-6481aba49ac9';
export const vaultId = '11111111-1111-1111-1111-111111111111';

/** Sends JSON, or text as it is. */
export function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): true {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
  return true;
}

export class FixtureServer {
  readonly requests: Recorded[] = [];
  /** Tried in order before the standard ones. */
  readonly routes: Route[] = [];
  /** Awaited with each request before its body is read. */
  onHeaders: (request: IncomingMessage) => unknown = () => undefined;
  tokensIssued = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #drives: SyncplicityDrive[] = [];

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(...routes: Route[]): Promise<FixtureServer> {
    const server = new FixtureServer();
    server.routes.push(...routes);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** A drive on this server with short pauses; stopped with the server. */
  drive(options: Partial<SyncplicityOptions> = {}): SyncplicityDrive {
    const drive = createSyncplicityDrive({
      credentials: { clientId: 'key-1', clientSecret: 'secret-1', appToken: 'app-token-1' },
      apiUrl: this.url,
      proxyEnvironment: {},
      ...options,
      retries: { delayMs: 5, ...options.retries },
      budget: { backoffMs: 200, ...options.budget },
    });
    this.#drives.push(drive);
    return drive;
  }

  /** A pool on this server, not opened yet; each member is called as its app key is. */
  pool(members: readonly (string | Partial<MemberOptions>)[], options: Partial<PoolOptions> = {}): PoolDrive {
    const [first, ...more] = members.map((member): MemberOptions => {
      const given = typeof member === 'string' ? { name: member } : member;
      const name = given.name ?? '';
      const credentials = { clientId: name, clientSecret: `secret-of-${name}`, appToken: `app-token-of-${name}` };
      return { id: `id-of-${name}`, credentials, apiUrl: this.url, ...given };
    });
    if (first === undefined) throw new Error('a pool without members');
    const drive = createPoolDrive({
      proxyEnvironment: {},
      ...options,
      members: [first, ...more],
      retries: { delayMs: 5, ...options.retries },
      budget: { backoffMs: 200, ...options.budget },
    });
    this.#drives.push(drive);
    return drive;
  }

  count(path: string): number {
    return this.requests.filter((request) => request.path.startsWith(path)).length;
  }

  /** Answers CONNECT with 403, as a proxy that forbids a host does; returns the targets asked for so far. */
  refuseTunnels(): string[] {
    const targets: string[] = [];
    this.#server.on('connect', (request, socket) => {
      targets.push(request.url ?? '');
      socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
    });
    return targets;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#drives.map((drive) => drive.stop()));
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const atMs = performance.now();
    const chunks: Buffer[] = [];
    await this.onHeaders(incoming);
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
    } catch {
      // Cut off within its body: no request.
      return;
    }
    const url = new URL(incoming.url ?? '/', this.url);
    const bytes = Buffer.concat(chunks);
    const request: Recorded = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      get body() {
        return bytes.toString('utf8');
      },
      bytes,
      atMs,
    };
    this.requests.push(request);
    for (const route of [...this.routes, this.#token, this.#endpoints]) {
      if (await route(request, response)) return;
    }
    reply(response, 404, { StatusCode: 404, StatusDescription: 'Nothing Here' });
  }

  readonly #token: Route = (request, response) => {
    if (request.path !== '/oauth/token') return false;
    this.tokensIssued += 1;
    return reply(response, 200, {
      access_token: `tok-${this.tokensIssued}`,
      token_type: 'Bearer',
      expires_in: '5099',
      user_id: userId,
      user_email: 'jo@example.com',
    });
  };

  readonly #endpoints: Route = (request, response) => {
    if (!request.path.startsWith('/storage/storageendpoint')) return false;
    const endpoint = {
      Id: vaultId,
      Name: 'Cloud US',
      Urls: [{ Url: `${this.url}/` }],
      SizeGb: 10,
      ConsumedGb: 1.5,
      Default: true,
    };
    return reply(response, 200, request.path.startsWith('/storage/storageendpoints') ? [endpoint] : endpoint);
  };
}

/** The app key that a request says it is from. */
export function appKeyOf({ headers }: Recorded): string {
  const basic = /^Basic (\S+)$/.exec(headers.authorization ?? '')?.[1];
  const user = basic === undefined ? undefined : Buffer.from(basic, 'base64').toString().split(':')[0];
  return String(headers['appkey'] ?? user ?? '');
}

/** Sends content as a web server would, honouring `bytes=a-b` and `bytes=a-`. */
export function sendRange(request: Recorded, response: ServerResponse, content: Buffer): true {
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  if (match === null) {
    response.writeHead(200, { 'content-length': content.length }).end(content);
    return true;
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? content.length : Math.min(Number(match[2]) + 1, content.length);
  response
    .writeHead(206, {
      'content-length': end - start,
      'content-range': `bytes ${start}-${end - 1}/${content.length}`,
    })
    .end(content.subarray(start, end));
  return true;
}
