// Which addresses may be called at all: https anywhere, http on this machine only. Everything that receives a token passes here.
import { namesLoopback } from '../../base/loopback.ts';
import { RemoteError } from '../../remote-drive.ts';

/**
 * The address of a service without trailing slash, query and fragment. Rejects what is no absolute URL, http to other machines
 * and URLs with credentials with RemoteError `protocol`; `what` names the address in the message, which never shows credentials.
 */
export function serviceUrl(text: string, what: string): URL {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new RemoteError('protocol', `${what} is not a URL`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new RemoteError('protocol', `${what} (${url.host}) carries a user name or password: leave them out`);
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && namesLoopback(url.hostname))) {
    throw new RemoteError('protocol', `${what} (${url.protocol}//${url.host}) is not https: http is for loopback only`);
  }
  url.search = '';
  url.hash = '';
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** Whether a host is one of the vendor's own: who runs the gateway runs it too. */
export function isVendorHost({ hostname }: URL): boolean {
  return /(^|\.)syncplicity\.com$/i.test(hostname);
}

/** `base` with a path (which may carry a query) appended. */
export function below(base: URL, pathAndQuery: string): URL {
  return new URL(base.href.replace(/\/+$/, '') + pathAndQuery);
}
