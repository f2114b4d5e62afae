// One request of a version's bytes at a vault: which of its addresses, which form of URL, whose token. Remembers per vault what
// worked. Follows no redirect. Knows nothing of ranges but the header it is given.
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, ContentReference } from '../../remote-drive.ts';
import type { ReplyError } from '../errors.ts';
import { VaultAddress, authorised, mayRefuseForm, sendToAnyAddress } from '../vault-address.ts';
import type { VaultReply, VaultRequestParts } from '../vault-address.ts';
import type { Vault } from '../vault.ts';

/** The guide's call, and the newer one of the vendor's samples. A vault may have only one of them. */
export type DownloadUrl = 'retrieveFile.php GET' | 'v2/files GET';

const downloadUrls: readonly DownloadUrl[] = ['retrieveFile.php GET', 'v2/files GET'];

/** What is known of a vault's addresses. */
export class DownloadAddress extends VaultAddress {
  /** The form of URL that worked. */
  downloadUrl: DownloadUrl | undefined;
}

/**
 * Resolves with a 200 or 206 reply, or with the error reply of a range the vault did not understand (400, 416). Rejects with
 * `not-found` when the vault knows the version under neither form of URL, and as other calls do otherwise. While no form is
 * known, a 400 or 403 that may be about the form is believed only when the other one does no better.
 */
export async function requestContent(
  parts: VaultRequestParts,
  vault: Vault,
  address: DownloadAddress,
  content: ContentReference,
  range: string | undefined,
  options: CallOptions,
): Promise<VaultReply | ReplyError> {
  const known = address.downloadUrl;
  const forms = known === undefined ? downloadUrls : [known, ...downloadUrls.filter((form) => form !== known)];
  let missing: ReplyError | undefined;
  let doubted: ReplyError | undefined;
  for (const form of forms) {
    const answer = await requestOnce(parts, vault, address, content, form, range, options);
    if (!(answer instanceof Error)) {
      address.downloadUrl = form;
      return answer;
    }
    if (known === undefined && mayRefuseForm(answer)) {
      // Where one of them may have stumbled over the range, other forms of range are worth a try.
      if (doubted === undefined || mayRefuseRange(answer, range)) doubted = answer;
      continue;
    }
    if (mayRefuseRange(answer, range)) return answer;
    if (answer.status !== 404 && answer.status !== 405) throw answer;
    // The form that is known to work, or else the documented one, says best what is missing.
    missing ??= answer;
  }
  if (doubted !== undefined) {
    if (mayRefuseRange(doubted, range)) return doubted;
    throw doubted;
  }
  const text = missing?.message ?? 'no form of URL';
  throw new RemoteError('not-found', text, { cause: missing });
}

function mayRefuseRange(answer: ReplyError, range: string | undefined): boolean {
  return range !== undefined && (answer.status === 400 || answer.status === 416);
}

/** One form of URL, at whichever of the vault's addresses answers; a stale token is renewed once. */
async function requestOnce(
  parts: VaultRequestParts,
  vault: Vault,
  address: DownloadAddress,
  content: ContentReference,
  form: DownloadUrl,
  range: string | undefined,
  options: CallOptions,
): Promise<VaultReply | ReplyError> {
  const asked = { call: form, thing: thingOf(content), headers: range === undefined ? {} : { range } };
  return authorised(parts, vault, asked, options, (headers) => {
    const request = { name: form, method: 'GET', headers, signal: options.signal } as const;
    return sendToAnyAddress(parts, vault, address, pathOf(form, content), request);
  });
}

function pathOf(form: DownloadUrl, content: ContentReference): string {
  const { syncpointId, versionId } = content;
  return form === 'retrieveFile.php GET'
    ? `/retrieveFile.php?vToken=${syncpointId}-${versionId}`
    : `/v2/files?syncpoint_id=${syncpointId}&file_version_id=${versionId}`;
}

/** For messages. */
export function thingOf(content: ContentReference): string {
  return `version ${content.versionId} of syncpoint ${content.syncpointId}`;
}
