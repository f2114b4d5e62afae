// An HTTP server that listens, and stops at once. Knows nothing of what is served.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Listening {
  /** The address that the host's name stands for. */
  readonly address: string;
  /** The one asked for, or for port 0 the one that was free. */
  readonly port: number;
  /** Stops listening and ends all connections, answers under way too. */
  readonly stop: () => Promise<void>;
}

/** Rejects where the port is taken, or not the user's to take. */
export async function listenOn(
  server: Server,
  where: { readonly host: string; readonly port: number },
): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    address,
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
