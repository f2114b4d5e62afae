// A daemon that holds its socket and never answers, as one that was stopped does.
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { makeSocketDirectory, socketFiles } from '../../src/control/socket-directory.ts';

/** Serves until what is returned is called. */
export async function serveSilence(runtimeDirectory: string, mountpoint: string): Promise<() => Promise<void>> {
  const { socket, directory } = socketFiles(runtimeDirectory, mountpoint);
  await makeSocketDirectory(directory);
  const peers: Socket[] = [];
  const server = createServer((peer) => void peers.push(peer));
  server.listen(socket);
  await once(server, 'listening');
  return async () => {
    peers.forEach((peer) => peer.destroy());
    server.close();
    await once(server, 'close');
  };
}
