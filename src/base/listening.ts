// An HTTP server that listens, and stops at once. Knows nothing of what is served.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Listening {
  /** The one asked for, or for port 0 the one that was free. */
  readonly port: number;
  /** Stops listening and ends all connections, answers under way too. */
  readonly stop: () => Promise<void>;
}

/** Rejects where the port is taken, or not the user's to take. */
export async function listenOn(
  server: Server,
  address: { readonly host: string; readonly port: number },
): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
