// The control socket between a daemon and its commands: answers, limits, and peers that misbehave.
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import tmp from 'tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectControl, type ControlClient, probe, probeMount } from '../../src/control/client.ts';
import { REQUEST_LIMIT_BYTES } from '../../src/control/lines.ts';
import { listMounts } from '../../src/control/mounts.ts';
import { type ControlHandler, type ControlServer, serveControl } from '../../src/control/server.ts';
import { makeSocketDirectory, socketFiles } from '../../src/control/socket-directory.ts';
import { serveSilence } from '../fakes/silent-daemon.ts';

const mountpoint = '/mnt/drive';
let directory: tmp.DirResult;
let runtimeDirectory: string;
let stops: (() => Promise<void> | void)[];

beforeEach(() => {
  directory = tmp.dirSync({ unsafeCleanup: true });
  runtimeDirectory = join(directory.name, 'run');
  stops = [];
});
afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
  directory.removeCallback();
});

async function serve(handlers: Record<string, ControlHandler>): Promise<ControlServer> {
  const server = await serveControl({ runtimeDirectories: [runtimeDirectory], mountpoint, handlers });
  stops.push(() => server.stop());
  return server;
}

async function connected(): Promise<ControlClient> {
  const client = await connectControl({ runtimeDirectories: [runtimeDirectory], mountpoint });
  if (client === undefined) throw new Error('nobody serves');
  stops.push(() => client.close());
  return client;
}

function rawPeer(): Socket {
  const socket = connect(socketFiles(runtimeDirectory, mountpoint).socket);
  stops.push(() => void socket.destroy());
  return socket;
}

async function allText(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('requests', () => {
  it('carries params to the handler and its result back', async () => {
    await serve({ double: (params) => Promise.resolve({ twice: Number(params['n']) * 2 }) });
    expect(await (await connected()).call('double', { n: 21 })).toEqual({ twice: 42 });
  });

  it('answers requests in whatever order their handlers end', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    await serve({ slow: () => held.then(() => 'slow'), quick: () => Promise.resolve('quick') });
    const client = await connected();
    const slow = client.call('slow');
    expect(await client.call('quick')).toBe('quick');
    release();
    expect(await slow).toBe('slow');
  });

  it("gives the caller the handler's message", async () => {
    await serve({ fail: () => Promise.reject(new Error('the mount is busy')) });
    await expect((await connected()).call('fail')).rejects.toThrow('the mount is busy');
  });

  it('names a method the daemon does not know', async () => {
    await serve({});
    await expect((await connected()).call('fly')).rejects.toThrow('does not know "fly"');
  });

  it('tells mountpoint and pid on hello', async () => {
    await serve({});
    expect(await (await connected()).call('hello')).toEqual({ mountpoint, pid: process.pid });
  });

  it('carries an answer of several megabytes', async () => {
    const long = 'x'.repeat(5_000_000);
    await serve({ long: () => Promise.resolve(long) });
    expect(await (await connected()).call('long')).toBe(long);
  });

  it('rejects with a TimeoutError when no answer comes', async () => {
    await serve({ never: () => new Promise(() => undefined) });
    const call = (await connected()).call('never', {}, { timeoutMs: 20 });
    await expect(call).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('rejects at once when the caller aborts', async () => {
    await serve({ never: () => new Promise(() => undefined) });
    const caller = new AbortController();
    const call = (await connected()).call('never', {}, { signal: caller.signal });
    caller.abort(new Error('changed my mind'));
    await expect(call).rejects.toThrow('changed my mind');
  });

  it('rejects what waits when the daemon stops', async () => {
    const server = await serve({ never: () => new Promise(() => undefined) });
    const client = await connected();
    const call = client.call('never');
    // hello's answer proves that `never` is under way.
    await client.call('hello');
    await Promise.all([expect(call).rejects.toThrow('without an answer'), server.stop()]);
    await client.closed;
    await expect(client.call('hello')).rejects.toThrow('without an answer');
  });

  it("aborts the handler's signal when its peer leaves", async () => {
    const left = new Promise((resolve) => {
      void serve({
        wait: (_, signal) => new Promise(() => signal.addEventListener('abort', () => resolve('left'))),
      }).then(async () => {
        const client = await connected();
        void client.call('wait').catch(() => undefined);
        await client.call('hello');
        client.close();
      });
    });
    expect(await left).toBe('left');
  });
});

describe('peers that misbehave', () => {
  it('answers garbage with an error, closes that connection, and serves the next', async () => {
    await serve({});
    const socket = rawPeer();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    expect(await allText(socket)).toMatch(/"error":\{"message":"not a request/);
    expect(await (await connected()).call('hello')).toMatchObject({ mountpoint });
  });

  it('refuses an endless line without keeping it', async () => {
    await serve({});
    const socket = rawPeer();
    socket.on('error', () => undefined);
    socket.write('x'.repeat(REQUEST_LIMIT_BYTES + 1));
    expect(await allText(socket)).toContain('longer than');
  });

  it.each(['null', '[]', '{}', '{"id":1}', '{"method":"hello"}', '{"id":{},"method":"hello"}'])(
    'refuses %s and goes on',
    async (line) => {
      await serve({});
      const socket = rawPeer();
      socket.write(`${line}\n{"id":7,"method":"hello"}\n`);
      let text = '';
      for await (const chunk of socket) {
        text += String(chunk);
        if (text.includes('"id":7')) break;
      }
      const [first, second] = text
        .trim()
        .split('\n')
        .map((answer) => JSON.parse(answer) as Record<string, unknown>);
      expect(first).toHaveProperty('error');
      expect(second).toMatchObject({ id: 7, result: { mountpoint } });
    },
  );

  it('puts requests together that arrive in pieces', async () => {
    await serve({ echo: (params) => Promise.resolve(params['text']) });
    const socket = rawPeer();
    socket.setNoDelay(true);
    const line = Buffer.from('{"id":1,"method":"echo","params":{"text":"Grüße"}}\n');
    await once(socket, 'connect');
    for (const byte of line) socket.write(Buffer.from([byte]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(JSON.parse(answer.toString())).toEqual({ id: 1, result: 'Grüße' });
  });

  it('limits the requests one peer has under way', async () => {
    await serve({ never: () => new Promise(() => undefined) });
    const client = await connected();
    const waiting = Array.from({ length: 16 }, () => client.call('never').catch((error: unknown) => error));
    await expect(client.call('never')).rejects.toThrow('more than 16');
    client.close();
    expect(await Promise.all(waiting)).toHaveLength(16);
  });

  it('leave a daemon that serves as many as it can its socket', async () => {
    await serve({});
    const { socket } = socketFiles(runtimeDirectory, mountpoint);
    const peers = Array.from({ length: 64 }, () => rawPeer());
    await Promise.all(peers.map((peer) => once(peer, 'connect')));
    const long = new Date(Date.now() - 60_000);
    utimesSync(socket, long, long);
    expect(await listMounts([runtimeDirectory])).toEqual([{ mountpoint, pid: process.pid, responding: false }]);
    for (const peer of peers) peer.destroy();
    await expect
      .poll(() => listMounts([runtimeDirectory]))
      .toEqual([{ mountpoint, pid: process.pid, responding: true }]);
  });

  it('is told of a daemon that answers nonsense', async () => {
    const { socket, directory: place } = socketFiles(runtimeDirectory, mountpoint);
    await makeSocketDirectory(place);
    const server = createServer((peer) => peer.end('<html>\n'));
    server.listen(socket);
    await once(server, 'listening');
    stops.push(() => void server.close());
    await expect((await connected()).call('status')).rejects.toThrow('not JSON');
  });
});

describe('sockets and directories', () => {
  it('keeps the directory 0700 and the socket 0600', async () => {
    await serve({});
    expect(statSync(runtimeDirectory).mode & 0o777).toBe(0o700);
    expect(statSync(socketFiles(runtimeDirectory, mountpoint).socket).mode & 0o777).toBe(0o600);
  });

  it('closes a directory that was open to others', async () => {
    mkdirSync(runtimeDirectory, { mode: 0o755 });
    await serve({});
    expect(statSync(runtimeDirectory).mode & 0o777).toBe(0o700);
  });

  it('refuses a directory that is a symbolic link', async () => {
    mkdirSync(join(directory.name, 'elsewhere'));
    symlinkSync(join(directory.name, 'elsewhere'), runtimeDirectory);
    await expect(serve({})).rejects.toThrow('not a directory');
  });

  it('uses a short directory where the path would not fit a socket address', async () => {
    runtimeDirectory = join(directory.name, 'd'.repeat(60), 'e'.repeat(60));
    const { directory: place, socket } = socketFiles(runtimeDirectory, mountpoint);
    stops.push(() => rmSync(place, { recursive: true, force: true }));
    expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(107);
    await serve({});
    expect(await listMounts([runtimeDirectory])).toEqual([{ mountpoint, pid: process.pid, responding: true }]);
  });

  it('refuses to serve a mountpoint twice, and serves it again after stop', async () => {
    const first = await serve({});
    await expect(serve({})).rejects.toThrow(`already served by another syncplicityfs (process ${process.pid})`);
    await first.stop();
    await first.stop();
    await serve({});
  });

  it('takes over the socket of a dead daemon', async () => {
    const { socket } = socketFiles(runtimeDirectory, mountpoint);
    mkdirSync(runtimeDirectory);
    writeFileSync(socket, '');
    await serve({});
    expect(await (await connected()).call('hello')).toMatchObject({ mountpoint });
  });

  it('leaves nothing behind after stop', async () => {
    const server = await serve({});
    await server.stop();
    const { socket, sidecar } = socketFiles(runtimeDirectory, mountpoint);
    expect([existsSync(socket), existsSync(sidecar)]).toEqual([false, false]);
    expect(await connectControl({ runtimeDirectories: [runtimeDirectory], mountpoint })).toBeUndefined();
  });
});

describe('listMounts', () => {
  it('is empty where nothing was ever mounted', async () => {
    expect(await listMounts([runtimeDirectory])).toEqual([]);
  });

  it('lists living daemons by mountpoint and ignores other files', async () => {
    await serve({});
    const other = await serveControl({
      runtimeDirectories: [runtimeDirectory],
      mountpoint: '/mnt/another',
      handlers: {},
    });
    stops.push(() => other.stop());
    writeFileSync(join(runtimeDirectory, 'notes.txt'), 'x');
    expect((await listMounts([runtimeDirectory])).map((mount) => mount.mountpoint)).toEqual([
      '/mnt/another',
      mountpoint,
    ]);
  });

  it('finds a mount from every runtime directory, once, whichever it was made in', async () => {
    const other = join(directory.name, 'session');
    const server = await serveControl({ runtimeDirectories: [other, runtimeDirectory], mountpoint, handlers: {} });
    stops.push(() => server.stop());
    const expected = [{ mountpoint, pid: process.pid, responding: true }];
    expect(await listMounts([runtimeDirectory])).toEqual(expected);
    expect(await listMounts([other, runtimeDirectory])).toEqual(expected);
    expect(await probeMount([join(directory.name, 'none'), runtimeDirectory], mountpoint)).toMatchObject({
      state: 'serving',
    });
    await expect(serveControl({ runtimeDirectories: [runtimeDirectory], mountpoint, handlers: {} })).rejects.toThrow(
      'already served',
    );
    await server.stop();
    expect([...readdirSync(other), ...readdirSync(runtimeDirectory)]).toEqual([]);
    const later = await serveControl({ runtimeDirectories: [runtimeDirectory], mountpoint, handlers: {} });
    stops.push(() => later.stop());
    expect(await listMounts([other, runtimeDirectory])).toEqual(expected);
  });

  it('takes links back only where they are still its own, and replaces those of a dead daemon', async () => {
    const [former, next] = [join(directory.name, 'former'), join(directory.name, 'next')];
    const dead = await serveControl({ runtimeDirectories: [former, runtimeDirectory], mountpoint, handlers: {} });
    // As a kill leaves it.
    unlinkSync(socketFiles(former, mountpoint).socket);
    const server = await serveControl({ runtimeDirectories: [next, runtimeDirectory], mountpoint, handlers: {} });
    stops.push(() => server.stop());
    await dead.stop();
    expect(await listMounts([runtimeDirectory])).toEqual([{ mountpoint, pid: process.pid, responding: true }]);
  });

  it('removes what a dead daemon left behind, but not what is just being made', async () => {
    const { socket, sidecar } = socketFiles(runtimeDirectory, mountpoint);
    mkdirSync(runtimeDirectory);
    writeFileSync(socket, '');
    writeFileSync(sidecar, JSON.stringify({ mountpoint, pid: 1 }));
    expect(await listMounts([runtimeDirectory])).toEqual([]);
    expect(existsSync(socket)).toBe(true);
    const longAgo = Date.now() / 1000 - 60;
    utimesSync(socket, longAgo, longAgo);
    expect(await listMounts([runtimeDirectory])).toEqual([]);
    expect([existsSync(socket), existsSync(sidecar)]).toEqual([false, false]);
  });

  it('says so when a daemon is hung for so long that no more connections are taken for it', async () => {
    const { socket, sidecar } = socketFiles(runtimeDirectory, mountpoint);
    mkdirSync(runtimeDirectory);
    // Stopped before it accepts anybody.
    const program = `require('net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => {
      require('fs').writeSync(1, 'listening'); process.kill(process.pid, 'SIGSTOP'); });`;
    const daemon = spawn(process.execPath, ['-e', program, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    const peers: Socket[] = [];
    stops.push(async () => {
      for (const peer of peers) peer.destroy();
      daemon.kill('SIGKILL');
      await once(daemon, 'exit');
    });
    await once(daemon.stdout, 'data');
    writeFileSync(sidecar, JSON.stringify({ mountpoint, pid: daemon.pid }));
    // As many as the kernel lets wait.
    for (let isFull = false; !isFull;) {
      const peer = connect(socket);
      isFull = await once(peer, 'connect').then(
        () => peers.push(peer) > 100,
        () => true,
      );
    }
    expect(peers.length).toBeLessThan(10);
    expect(await listMounts([runtimeDirectory])).toEqual([{ mountpoint, pid: daemon.pid, responding: false }]);
  });

  it('says so when a daemon is hung, with what its sidecar tells', async () => {
    stops.push(await serveSilence(runtimeDirectory, mountpoint));
    writeFileSync(socketFiles(runtimeDirectory, mountpoint).sidecar, JSON.stringify({ mountpoint, pid: 4711 }));
    expect(await listMounts([runtimeDirectory])).toEqual([{ mountpoint, pid: 4711, responding: false }]);
    expect(await probe(socketFiles(runtimeDirectory, mountpoint).socket, { timeoutMs: 20 })).toEqual({
      state: 'hung',
      mount: { mountpoint, pid: 4711 },
    });
  });
});
