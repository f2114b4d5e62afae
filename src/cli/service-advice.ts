// What to do about each way in which the service fails.
import type { RemoteErrorKind } from '../remote-drive.ts';

/** A line for the user, by kind of failure. */
export const SERVICE_ADVICE: Readonly<Record<RemoteErrorKind, string>> = {
  'not-found': 'it is gone, or changed in the meantime: look again',
  exists: 'something of that name is there already: choose another one, or remove it first',
  conflict: 'it changed in the meantime: try again',
  forbidden: 'ask the owner, or your Syncplicity administrator, for access',
  quota: 'make room at Syncplicity',
  throttled: 'the hourly allowance of calls is spent: try again later',
  unavailable: 'check the network, HTTPS_PROXY and NO_PROXY, --ca-file, and api_url of the connection',
  unauthenticated:
    'compare client_id, client_secret and app_token with the developer portal and your profile; delete the connection and add it again',
  invalid: 'the service refused what was asked: see its words',
  'too-large': 'the service refused the size: ask your Syncplicity administrator for the limits',
  protocol: 'check api_url of the connection: something else may answer there',
};
