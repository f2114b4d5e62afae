// The other side: `rclone serve webdav` over the same data behind the same line, and `rclone mount` of it; also `rclone mount`
// of the data's directory itself. Everything is said on the command line: the user's rclone.conf is not read.
import { mkdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { freePort, isMounted, resources, run, startProgram, until } from './programs.mjs';

/** The installed version, or undefined. */
export async function rcloneVersion() {
  try {
    return (await run('rclone', ['version'])).split('\n')[0];
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function startRcloneDrive({ stops, line, dataDirectory, workDirectory, signal }) {
  const mountpoint = join(workDirectory, 'rclone');
  mkdirSync(mountpoint, { recursive: true });
  const serverPort = await freePort();
  const common = ['--config', '/dev/null'];
  const server = await startProgram(stops, 'rclone', [
    ...['serve', 'webdav', dataDirectory, '--addr', `127.0.0.1:${serverPort}`, '--read-only'],
    ...common,
  ]);
  await Promise.race([until(() => answers(serverPort), 'rclone serve webdav', signal), server.failure]);
  const url = `http://127.0.0.1:${await line.open(serverPort)}`;
  let mounted;
  let generation = 0;
  return {
    name: 'rclone mount',
    mountpoint,
    root: mountpoint,
    /** The WebDAV server behind the line. */
    url,
    /** `remote` is what to mount instead of the WebDAV server: a directory. */
    async mount({ cold = false, remote } = {}) {
      if (cold) generation++;
      const cache = join(workDirectory, `rclone-cache-${generation}`);
      const source = remote === undefined ? [':webdav:', '--webdav-url', url, '--webdav-vendor', 'other'] : [remote];
      const options = ['--vfs-cache-mode', 'full', '--cache-dir', cache, '--read-only', '--dir-cache-time', '1h'];
      mounted = await startProgram(stops, 'rclone', ['mount', ...source, mountpoint, ...options, ...common]);
      await Promise.race([until(() => isMounted(mountpoint), 'rclone mount', signal), mounted.failure]);
    },
    /** Mounts another directory, behind a server of its own, to write into. Returns what stops that server. */
    async mountWritable(directory) {
      const port = await freePort();
      const own = await startProgram(stops, 'rclone', [
        ...['serve', 'webdav', directory, '--addr', `127.0.0.1:${port}`],
        ...common,
      ]);
      await Promise.race([until(() => answers(port), 'rclone serve webdav', signal), own.failure]);
      generation++;
      mounted = await startProgram(stops, 'rclone', [
        ...[
          'mount',
          ':webdav:',
          '--webdav-url',
          `http://127.0.0.1:${await line.open(port)}`,
          '--webdav-vendor',
          'other',
        ],
        ...[mountpoint, '--vfs-cache-mode', 'full', '--cache-dir', join(workDirectory, `rclone-cache-${generation}`)],
        ...['--vfs-write-back', '1s', '--dir-cache-time', '1h', ...common],
      ]);
      await Promise.race([until(() => isMounted(mountpoint), 'rclone mount', signal), mounted.failure]);
      return own.stop;
    },
    async unmount() {
      await mounted.stop();
      if (isMounted(mountpoint)) await run('umount', [mountpoint]);
    },
    pid: () => mounted.child.pid,
    resources: () => resources(mounted.child.pid),
  };
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
