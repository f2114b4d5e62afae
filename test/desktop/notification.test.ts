// Notifications on a session bus as it is (dbus-daemon), with a desktop that shares no code with what is tested.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { showNotification } from '../../src/desktop/notification.ts';
import { busSockets } from '../../src/desktop/session-bus.ts';
import { hasDbus, Session } from './session.ts';

const notification = { title: 'No room at Syncplicity', text: '"a" is not stored', icon: 'drive-harddisk' };
const never = new AbortController().signal;

describe.skipIf(!hasDbus)('a session', () => {
  let session: Session;
  beforeEach(async () => {
    session = await Session.start();
  });
  afterEach(() => session.stop());

  it('shows a notification as the specification has it, and a second one in its place', async () => {
    await session.showDesktop();
    const id = await showNotification(notification, session.environment, never);
    expect(id).toBe(1);
    expect(await showNotification({ ...notification, replaces: id }, session.environment, never)).toBe(1);
    expect(await showNotification(notification, session.environment, never)).toBe(2);
    const [first, second] = await session.notified(3);
    expect(first).toEqual({
      app: 'syncplicityfs',
      replaces: 0,
      icon: 'drive-harddisk',
      title: 'No room at Syncplicity',
      text: '&quot;a&quot; is not stored',
      actions: [],
      hints: { urgency: 1, category: 'transfer.error' },
      expiry: -1,
    });
    expect(second?.replaces).toBe(1);
  });

  it('gets markup where it has such, and plain text where it would show it', async () => {
    await session.showDesktop({ capabilities: ['body'] });
    await showNotification({ ...notification, text: '<b>&' }, session.environment, never);
    expect((await session.notified(1))[0]?.text).toBe('<b>&');
  });

  it('carries any text whole', async () => {
    await session.showDesktop();
    const text = `ä€😀${'x'.repeat(3_000)}`;
    await showNotification({ ...notification, text }, session.environment, never);
    expect((await session.notified(1))[0]?.text).toBe(text);
  });

  it('that has nothing which shows notifications says so', async () => {
    await expect(showNotification(notification, session.environment, never)).rejects.toThrow(
      'org.freedesktop.Notifications',
    );
  });

  it('that hangs is left when told', async () => {
    await session.showDesktop({ hangs: true });
    const giveUp = new AbortController();
    const shown = showNotification(notification, session.environment, giveUp.signal);
    giveUp.abort(new Error('unmounting'));
    await expect(shown).rejects.toThrow('unmounting');
  });
});

describe('no session', () => {
  let directory: string;
  let server: Server | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'syncplicityfs-bus-'));
  });
  afterEach(async () => {
    await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    server = undefined;
    rmSync(directory, { recursive: true });
  });

  /** Something else than a bus listens there. */
  async function listen(onConnection: (socket: Socket) => void): Promise<NodeJS.ProcessEnv> {
    const path = join(directory, 'bus');
    server = createServer(onConnection);
    await new Promise<void>((resolve) => server?.listen(path, resolve));
    return { DBUS_SESSION_BUS_ADDRESS: `unix:path=${path}` };
  }

  it('is told where the address leads nowhere, or over a transport that is not spoken', async () => {
    for (const address of [`unix:path=${join(directory, 'none')}`, 'disabled:', 'tcp:host=localhost,port=1', ';;']) {
      expect(await showNotification(notification, { DBUS_SESSION_BUS_ADDRESS: address }, never)).toBeUndefined();
    }
  });

  it.skipIf(process.getuid?.() !== 0)('is told of a bus of somebody else, who hears nothing', async () => {
    chmodSync(directory, 0o777);
    const path = join(directory, 'bus');
    const program = `
      for (const address of process.argv.slice(1).map((one) => one.replace('@', '\\0')))
        net.createServer((socket) => socket.on('error', () => 0).on('data', (data) => console.log('heard ' + data)))
          .listen(address, () => console.log('listens'));`;
    const theirs = spawn(process.execPath, ['-e', program, path, `@${path}`], {
      uid: 12345,
      cwd: '/',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    theirs.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    try {
      await expect.poll(() => said, { timeout: 10_000 }).toBe('listens\nlistens\n');
      // The name alone says nothing.
      chownSync(path, 0, 0);
      const environment = { DBUS_SESSION_BUS_ADDRESS: `unix:path=${path};unix:abstract=${path}` };
      expect(await showNotification(notification, environment, never)).toBeUndefined();
    } finally {
      theirs.kill();
      await once(theirs, 'close');
    }
    expect(said).not.toContain('heard');
  });

  it('rejects where what listens hangs up, refuses, or talks nonsense, and leaves no connection', async () => {
    const answers = ['', 'REJECTED EXTERNAL\r\n', 'OK 1234\r\nnonsense, and more of it than a header has'];
    for (const answer of answers) {
      const environment = await listen((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => (answer === '' ? socket.destroy() : socket.write(answer)));
      });
      await expect(showNotification(notification, environment, never)).rejects.toThrow(/session bus|no message/);
      // It ends only when every connection has.
      await new Promise((resolve) => server?.close(resolve));
      server = undefined;
    }
  });

  it('is looked for where sessions have their bus', () => {
    expect(busSockets({}, 1000)).toEqual(['/run/user/1000/bus']);
    expect(busSockets({ XDG_RUNTIME_DIR: '/run/other' }, 1000)).toEqual(['/run/other/bus', '/run/user/1000/bus']);
    const address = 'unix:abstract=/tmp/dbus-x%2c1,guid=ab;unix:path=/a%20b;unix:runtime=yes;unixexec:path=/bin/false';
    expect(busSockets({ DBUS_SESSION_BUS_ADDRESS: address }, 5)).toEqual([
      '\0/tmp/dbus-x,1',
      '/a b',
      '/run/user/5/bus',
    ]);
  });
});
