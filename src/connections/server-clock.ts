// How this machine's clock stands against the service's, read off the Date header of any answer of the gateway.
import { HttpTransport } from '../syncplicity/http/transport.ts';
import { serviceUrl } from '../syncplicity/http/service-url.ts';
import { defaultApiUrl, defaultTimeouts } from '../syncplicity/options.ts';

/**
 * Milliseconds by which this machine is ahead of the gateway, to about a second (HTTP dates have no fraction); undefined when
 * the answer has no date. Sends no credentials. Rejects with RemoteError `unavailable` when the gateway cannot be reached.
 */
export async function clockOffset(
  apiUrl: string | undefined,
  options: { readonly ca: string | undefined; readonly signal: AbortSignal },
): Promise<number | undefined> {
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
    const url = serviceUrl(apiUrl ?? defaultApiUrl, 'api_url');
    const started = Date.now();
    const reply = await transport.send({ pool: 'gateway', method: 'GET', url, headers: {}, signal: options.signal });
    const middle = (started + Date.now()) / 2;
    reply.body.destroy();
    const date = reply.headers['date'];
    const server = typeof date === 'string' ? Date.parse(date) : Number.NaN;
    return Number.isNaN(server) ? undefined : middle - server;
  } finally {
    await transport.stop();
  }
}
