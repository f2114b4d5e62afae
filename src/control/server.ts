// The daemon's end of the control socket: takes requests, calls the handlers it was given, answers. What the methods do is
// mount.ts's. A peer that sends garbage, too much, or leaves in the middle harms its own connection only.
import { chmod, readlink, symlink, unlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { delay } from '../base/abort.ts';
import { replaceFile } from '../base/atomic-file.ts';
import { createLog } from '../base/log.ts';
import type { RuntimeDirectories } from '../base/paths.ts';
import { probeMount } from './client.ts';
import { asRecord, readJsonLines, REQUEST_LIMIT_BYTES, writeJsonLine } from './lines.ts';
import { makeSocketDirectory, type SocketFiles, socketFiles } from './socket-directory.ts';

/** People and scripts ask now and then; more peers than this at once is a runaway loop. */
const CONNECTION_LIMIT = 64;
/** Requests one peer may have under way: `status --watch` has one. */
const REQUESTS_PER_CONNECTION_LIMIT = 16;
/** A stop waits so long for answers under way: that to `unmount` is due just when the mount and with it the server ends. */
const LAST_ANSWERS_TIMEOUT_MS = 500;

/** Does one request. The signal aborts when the peer leaves or the server stops. Rejects with what the peer shall read. */
export type ControlHandler = (params: Readonly<Record<string, unknown>>, signal: AbortSignal) => Promise<unknown>;

export interface ControlServer {
  /** Stops listening, lets answers under way out, ends all connections and removes the socket. Harmless when called twice. */
  stop(): Promise<void>;
}

const log = createLog('control');

/**
 * Serves the control socket of a mountpoint, which lies in the first of the runtime directories; the others get links to it. `hello` is
 * answered here, all else by `handlers`. Rejects when another daemon answers for that mountpoint; a dead one's socket is replaced.
 */
export async function serveControl(options: {
  readonly runtimeDirectories: RuntimeDirectories;
  readonly mountpoint: string;
  readonly handlers: Readonly<Record<string, ControlHandler>>;
}): Promise<ControlServer> {
  const { runtimeDirectories, mountpoint } = options;
  const files = socketFiles(runtimeDirectories[0], mountpoint);
  await makeSocketDirectory(files.directory);
  const earlier = await probeMount(runtimeDirectories, mountpoint);
  if (earlier.state !== 'dead') {
    const pid = earlier.mount === undefined ? '' : ` (process ${earlier.mount.pid})`;
    throw new Error(`${mountpoint} is already served by another syncplicityfs${pid}`);
  }
  await removeIfThere(files.socket);
  const identity = { mountpoint, pid: process.pid };
  await replaceFile(files.sidecar, `${JSON.stringify(identity)}\n`, 0o600);
  const links = runtimeDirectories.slice(1).map((directory) => socketFiles(directory, mountpoint));
  for (const link of links) await linkTo(files, link);

  const handlers = new Map<string, ControlHandler>(Object.entries(options.handlers));
  handlers.set('hello', () => Promise.resolve(identity));
  const peers = new Map<Socket, { readonly leaving: AbortController; readonly running: Set<Promise<void>> }>();
  const server = createServer((socket) => {
    const leaving = new AbortController();
    const running = new Set<Promise<void>>();
    peers.set(socket, { leaving, running });
    socket.on('close', () => {
      peers.delete(socket);
      leaving.abort(new Error('the peer left'));
    });
    // A reset by the peer ends its connection; 'close' follows and does what is to be done.
    socket.on('error', (error) => log('peer: %s', error.message));
    serveConnection(socket, handlers, running, leaving.signal);
  });
  server.maxConnections = CONNECTION_LIMIT;
  await listen(server, files.socket);
  await chmod(files.socket, 0o600);

  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const answers: Promise<void>[] = [];
    for (const { leaving, running } of peers.values()) {
      leaving.abort(new Error('the mount ends'));
      answers.push(...running);
    }
    await Promise.race([Promise.all(answers), delay(LAST_ANSWERS_TIMEOUT_MS)]);
    for (const socket of peers.keys()) socket.destroySoon();
    // A peer that does not read would hold its last answer for ever.
    await Promise.race([closed, delay(LAST_ANSWERS_TIMEOUT_MS)]);
    for (const socket of peers.keys()) socket.destroy();
    await closed;
    for (const link of links) await unlinkFrom(files, link);
    await removeIfThere(files.socket);
    await removeIfThere(files.sidecar);
  };
  return { stop: () => (stopped ??= stop()) };
}

function serveConnection(
  socket: Socket,
  handlers: ReadonlyMap<string, ControlHandler>,
  running: Set<Promise<void>>,
  signal: AbortSignal,
): void {
  const refuse = (id: unknown, message: string): void => {
    writeJsonLine(socket, { id: id ?? null, error: { message } });
  };
  readJsonLines(socket, REQUEST_LIMIT_BYTES, {
    onGarbage: (reason) => {
      refuse(null, `not a request: ${reason}`);
      socket.destroySoon();
    },
    onValue: (value) => {
      const request = asRecord(value);
      const method = request?.['method'];
      const id = request?.['id'];
      if (typeof method !== 'string' || (typeof id !== 'number' && typeof id !== 'string')) {
        refuse(id, 'not a request: "id" and "method" are needed');
        return;
      }
      const handler = handlers.get(method);
      if (handler === undefined) {
        refuse(id, `this daemon does not know "${method}"; it may be older than the command`);
        return;
      }
      if (running.size >= REQUESTS_PER_CONNECTION_LIMIT) {
        refuse(id, `more than ${REQUESTS_PER_CONNECTION_LIMIT} requests at once`);
        return;
      }
      // Begun only once it is counted: a handler may end this very server.
      const answering: Promise<void> = Promise.resolve()
        .then(() => answer(handler, asRecord(request?.['params']) ?? {}, signal))
        .then((response) => void writeJsonLine(socket, { id, ...response }))
        .catch((error: unknown) => log('%s: no answer could be sent: %s', method, error))
        .finally(() => running.delete(answering));
      running.add(answering);
    },
  });
}

/** Never rejects: a failing handler is an answer too. */
async function answer(
  handler: ControlHandler,
  params: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<{ result: unknown } | { error: { message: string } }> {
  try {
    return { result: (await handler(params, signal)) ?? null };
  } catch (error) {
    return { error: { message: error instanceof Error ? error.message : String(error) } };
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      server.on('error', (error) => log('server: %s', error.message));
      resolve();
    });
  });
}

/** Lets a mount be found from another directory, too. */
async function linkTo(files: SocketFiles, link: SocketFiles): Promise<void> {
  await makeSocketDirectory(link.directory);
  for (const part of ['sidecar', 'socket'] as const) {
    await removeIfThere(link[part]);
    await symlink(files[part], link[part]);
  }
}

/** Takes the links back, where no later mount has put its own there. */
async function unlinkFrom(files: SocketFiles, link: SocketFiles): Promise<void> {
  for (const part of ['socket', 'sidecar'] as const) {
    // Gone, or the socket itself of a later mount.
    const target = await readlink(link[part]).catch(() => undefined);
    if (target === files[part]) await removeIfThere(link[part]);
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
