// A proxy whose tunnels take a while to be made.
import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';

export class SlowTunnels {
  /** How many were asked for. */
  made = 0;
  readonly #server: Server = createServer();
  readonly #sockets = new Set<Socket>();

  private constructor() {}

  /** `delayMs`: how long the tunnel of this number takes, from 0. */
  static async start(delayMs: (index: number) => number): Promise<SlowTunnels> {
    const tunnels = new SlowTunnels();
    tunnels.#server.on('connect', (request, near: Socket) => {
      const { hostname, port } = new URL(`http://${request.url ?? ''}`);
      setTimeout(() => tunnels.#open(near, connect(Number(port), hostname)), delayMs(tunnels.made++));
    });
    tunnels.#server.listen(0, '127.0.0.1');
    await once(tunnels.#server, 'listening');
    return tunnels;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #open(near: Socket, far: Socket): void {
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => socket.destroy());
    }
    far.on('connect', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      near.pipe(far).pipe(near);
    });
  }
}
