// One upload request at a vault: which of its addresses, which form of URL, which spelling of the session key, whose token.
// Repeats a request only where the one before was refused or cannot have arrived, and follows no redirect: a 308 is an answer
// here. Knows nothing of chunks but the headers it is given.
import { abortReason } from '../../base/abort.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, RemotePath } from '../../remote-drive.ts';
import { ReplyError, UnclearError, isThrottling, namesMissingObject, replyError } from '../errors.ts';
import type { ErrorReply } from '../errors.ts';
import { errorText } from '../http/body-text.ts';
import { retryAfterMs } from '../http/retry-after.ts';
import { NoReplyError, wasNeverSent } from '../http/transport.ts';
import type { Retries } from '../retries.ts';
import { mayRefuseForm, sendToAnyAddress } from '../vault-address.ts';
import type { VaultRequestParts } from '../vault-address.ts';
import type { Vault } from '../vault.ts';
import type { UploadKnowledge, UploadUrl } from './knowledge.ts';
import type { Multipart } from './multipart.ts';
import { webPage } from '../wire/web-page.ts';
import { readUploadReply } from './upload-reply.ts';
import type { UploadReply } from './upload-reply.ts';

const uploadUrls: readonly UploadUrl[] = ['saveFile.php POST', 'v2/mime/files POST'];
const paths: Readonly<Record<UploadUrl, string>> = {
  'saveFile.php POST': '/saveFile.php',
  'v2/mime/files POST': '/v2/mime/files',
};

/** One request, in the terms of the protocol. */
export interface UploadPost {
  readonly filepath: string;
  /** For messages. */
  readonly thing: string;
  readonly contentRange: string;
  readonly etag: string | undefined;
  /** Made anew for each time it is sent. */
  form(sessionKey: string): Multipart;
}

/** What a request takes. */
export interface PostParts extends VaultRequestParts {
  readonly retries: Retries;
}

/** `\\dir\\name` for the query, percent-encoded. */
export function encodedPath(folder: RemotePath, name: string): string {
  try {
    return encodeURIComponent(`\\${[...folder.folderNames, name].join('\\')}`);
  } catch (error) {
    throw new RemoteError('invalid', 'the name is no valid Unicode text', { cause: error });
  }
}

/**
 * Resolves with a 2xx or 308 reply. Rejects with {@link UnclearError} when the whole request left and nobody knows what became
 * of it; with other errors nothing was stored by it. While no form of URL is known, a refusal that may be about the form is
 * believed only when the other one does no better.
 */
export async function post(
  parts: PostParts,
  vault: Vault,
  known: UploadKnowledge,
  request: UploadPost,
  options: CallOptions,
): Promise<UploadReply> {
  const first = known.url;
  const urls = first === undefined ? uploadUrls : [first, ...uploadUrls.filter((url) => url !== first)];
  let doubted: ReplyError | undefined;
  let missing: ReplyError | undefined;
  for (const url of urls) {
    try {
      const reply = await postTo(parts, vault, known, url, request, options);
      known.url = url;
      return reply;
    } catch (error) {
      if (!(error instanceof ReplyError)) throw error;
      if (isMissing(error)) missing ??= error;
      else if (url !== first && mayRefuseForm(error)) doubted = likelier(doubted, error);
      else throw error;
    }
  }
  // The form that is known to work says best what is missing.
  if (doubted !== undefined && first === undefined) throw doubted;
  // By its status alone it would say that the folder is missing.
  throw new ReplyError(
    'protocol',
    missing?.message ?? request.thing,
    missing ?? { status: 404, text: '', retryAfterMs: undefined },
  );
}

/** The path of the URL is not known: what misses an object says so in words. */
function isMissing(error: ReplyError): boolean {
  return error.status === 405 || (error.status === 404 && !namesMissingObject(error.text));
}

/** Of two refusals, the one that is less likely to be about the form: a 400 has read the request. */
function likelier(before: ReplyError | undefined, error: ReplyError): ReplyError {
  return before === undefined || (before.status === 403 && error.status === 400) ? error : before;
}

/**
 * One form of URL. A stale token is renewed once, then the other spelling of the session key is tried once, then another storage token where
 * there is one by now.
 */
async function postTo(
  parts: PostParts,
  vault: Vault,
  known: UploadKnowledge,
  uploadUrl: UploadUrl,
  request: UploadPost,
  options: CallOptions,
): Promise<UploadReply> {
  const { session, counters, retries, holds } = parts;
  const { signal } = options;
  const { storage } = session;
  const tokens = await session.vaultTokens.forRequest(vault, 'upload', signal);
  let isStorageReplaced = false;
  // Uploads beside this one learn at the same time: what is known may change under it.
  const firstKeyBare = known.isKeyBare;
  let isKeyBare = firstKeyBare;
  let throttled = 0;
  for (;;) {
    const storageHeaders = await storage.headers(vault);
    const token = await tokens.get(signal);
    const { contentType, body } = request.form(isKeyBare ? token.accessToken : `Bearer ${token.accessToken}`);
    const headers = {
      accept: '*/*',
      ...session.headers(token),
      ...storageHeaders,
      'content-type': contentType,
      'content-range': request.contentRange,
      ...(request.etag === undefined ? {} : { 'if-match': request.etag }),
    };
    const path = `${paths[uploadUrl]}?filepath=${request.filepath}`;
    const http = { name: uploadUrl, method: 'POST', headers, body, signal } as const;
    let error: ErrorReply;
    try {
      const { reply } = await sendToAnyAddress(parts, vault, known.address, path, http, wasNeverSent);
      const { status } = reply;
      // A body that breaks says as much as one without words.
      const text = session.withoutSecrets(await errorText(reply));
      if (signal?.aborted === true) throw abortReason(signal);
      if (status === 308 || (status >= 200 && status < 300)) {
        const page = webPage(text, `${uploadUrl}: ${request.thing}`);
        if (page !== undefined) throw new UnclearError(page);
        known.isKeyBare = isKeyBare;
        tokens.accepted();
        storage.accepted(vault);
        return readUploadReply(status, reply.headers, text);
      }
      error = {
        call: uploadUrl,
        thing: request.thing,
        status,
        reason: session.withoutSecrets(reply.reason),
        body: text,
        retryAfterMs: retryAfterMs(reply.headers, Date.now()),
      };
    } catch (cause) {
      throw cause instanceof NoReplyError && cause.sent === 'all' ? new UnclearError(cause) : cause;
    }
    const failure = replyError(error);
    holds.note(session, vault, error);
    if (isThrottling(error)) {
      await retries.pause(failure, throttled, signal);
      throttled += 1;
      continue;
    }
    if (tokens.helps(error)) continue;
    if (error.status === 401 && isKeyBare === firstKeyBare) {
      isKeyBare = !isKeyBare;
      tokens.restart();
      continue;
    }
    if (!isStorageReplaced && (await storage.isReplaced(vault, failure, storageHeaders))) {
      isStorageReplaced = true;
      isKeyBare = firstKeyBare;
      tokens.signedInAgain();
      continue;
    }
    counters.refused(failure);
    throw failure.kind === 'unavailable' ? new UnclearError(failure) : storage.explained(vault, failure);
  }
}
