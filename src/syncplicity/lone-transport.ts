// Connections for one or two requests that no drive makes: a look-up without credentials, a sign-in.
import { HttpTransport } from './http/transport.ts';
import { defaultTimeouts } from './options.ts';
import type { ServiceOptions } from './options.ts';

/** A transport that nobody watches. Its owner stops it. */
export function loneTransport({
  ca,
  proxyEnvironment,
}: Pick<ServiceOptions, 'ca' | 'proxyEnvironment'>): HttpTransport {
  return new HttpTransport({
    timeouts: defaultTimeouts,
    ca,
    proxyEnvironment: proxyEnvironment ?? process.env,
    proxyLoopback: false,
    userAgent: 'syncplicityfs',
    // A request's outcome is all there is to know.
    watcher: { answered: () => undefined, unreachable: () => undefined },
  });
}
