// The parts of undici that requests of this program go through, taken from where they lie in the package: its index loads fetch,
// WebSocket, caches and mocks as well, which is 6 MiB of memory and a tenth of a second at each start. See doc/decisions/0031.
import type { Dispatcher } from 'undici';
import api from 'undici/lib/api/index.js';
import buildConnector from 'undici/lib/core/connect.js';
import errors from 'undici/lib/core/errors.js';
import Agent from 'undici/lib/dispatcher/agent.js';
import BareDispatcher from 'undici/lib/dispatcher/dispatcher.js';
import EnvHttpProxyAgent from 'undici/lib/dispatcher/env-http-proxy-agent.js';

// As the index does: a dispatcher has request() only then.
Object.assign(BareDispatcher.prototype, api);

export { Agent, buildConnector, EnvHttpProxyAgent, errors };
export type { Dispatcher };
