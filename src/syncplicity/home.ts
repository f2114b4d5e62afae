// The home region of an address, for those who have no drive of it: one look-up, without credentials.
import { HttpTransport } from './http/transport.ts';
import { serviceUrl } from './http/service-url.ts';
import { defaultGolUrl, defaultTimeouts } from './options.ts';
import { homeRegion } from './rols.ts';

/** Where accounts of this address are at home. `name` begins with a blank, or is empty. Rejects where nobody knows. */
export async function findHome(options: {
  readonly golUrl: string | undefined;
  readonly email: string;
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
}): Promise<{ readonly gateway: string; readonly name: string }> {
  const transport = new HttpTransport({
    timeouts: defaultTimeouts,
    ca: options.ca,
    proxyEnvironment: process.env,
    proxyLoopback: false,
    userAgent: 'syncplicityfs',
    // One request: its outcome is all there is to know.
    watcher: { answered: () => undefined, unreachable: () => undefined },
  });
  try {
    const gol = serviceUrl(options.golUrl ?? defaultGolUrl, 'gol_url');
    const { gateway, name } = await homeRegion(transport, gol, options.email, options.signal);
    return { gateway: gateway.host, name: name === undefined ? '' : ` ${name}` };
  } finally {
    await transport.stop();
  }
}
