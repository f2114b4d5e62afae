// RemoteDrive.read: opens a transfer of a range of a version, learning on the way what the vault makes of ranges. Bytes go out
// only when the reply's headers say which they are; what does not add up is asked for in another form, or is an error.
import { createLog } from '../../base/log.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { CallOptions, ContentReference, ContentStream, RangeSupport, VaultId } from '../../remote-drive.ts';
import { ReplyError, knowsNoSuchCall } from '../errors.ts';
import type { Member } from '../members/member.ts';
import type { Members } from '../members/members.ts';
import type { Retries } from '../retries.ts';
import type { VaultReply, VaultRequestParts } from '../vault-address.ts';
import type { Vault } from '../vault.ts';
import type { VaultDirectory } from '../vaults.ts';
import { countedBody } from './content-stream.ts';
import { covered, rangeForms, rangeHeader } from './range-forms.ts';
import type { RangeForm, Wanted } from './range-forms.ts';
import { DownloadAddress, requestContent, thingOf } from './vault-requests.ts';
import type { DownloadUrl } from './vault-requests.ts';

const log = createLog('downloads');

/** That a vault understands no range at all is believed for an hour: it means reading whole files for a few bytes. */
const noneForgottenMs = 3_600_000;
/** A form that was proven may fail this often in a row before the others are tried again. */
const provenFailuresMax = 3;
/** Vaults of one user; far more are ids that came and went. */
const vaultsMax = 256;

interface VaultKnowledge {
  readonly address: DownloadAddress;
  form: RangeForm | undefined;
  support: RangeSupport;
  untilMs: number;
  failures: number;
}

export interface DownloadParts extends Pick<VaultRequestParts, 'transport' | 'rates' | 'holds'> {
  readonly members: Members;
  readonly vaults: VaultDirectory;
  readonly retries: Retries;
}

export interface VaultCapability {
  readonly ranges: RangeSupport;
  readonly download: DownloadUrl | 'unknown';
}

export class Downloads {
  readonly #parts: DownloadParts;
  readonly #knowledge = new Map<VaultId | 'default', VaultKnowledge>();

  constructor(parts: DownloadParts) {
    this.#parts = parts;
  }

  /** See RemoteDrive.read. The signal ends the stream too. */
  async read(
    content: ContentReference,
    range: { readonly offsetBytes: number; readonly lengthBytes: number },
    options: CallOptions,
  ): Promise<ContentStream> {
    const wanted: Wanted = {
      startBytes: range.offsetBytes,
      endBytes: range.offsetBytes + range.lengthBytes,
      totalBytes: content.lengthBytes,
    };
    if (!(wanted.startBytes >= 0 && wanted.endBytes > wanted.startBytes && wanted.endBytes <= wanted.totalBytes)) {
      throw new RemoteError(
        'protocol',
        `download of ${thingOf(content)}: [${wanted.startBytes}, ${wanted.endBytes}) is not within ${wanted.totalBytes} bytes`,
      );
    }
    const { members, retries, vaults } = this.#parts;
    const attempt = async (): Promise<ContentStream> => {
      const vault = await vaults.find(content.vaultId, options);
      const attemptAt = (at: Vault): Promise<ContentStream> =>
        members.attempt(options.signal, undefined, (member) => this.#attempt(member, content, wanted, at, options));
      try {
        return await attemptAt(vault);
      } catch (error) {
        // None of the known addresses answered, or what is there gives out nothing: perhaps the vault moved.
        if (isUnavailable(error)) vaults.forget();
        const moved = knowsNoSuchCall(error) ? await vaults.moved(content.vaultId, vault, options) : undefined;
        if (moved === undefined) throw error;
        return attemptAt(moved);
      }
    };
    return retries.run(options.signal, attempt, (error) => options.once !== true || !isUnavailable(error));
  }

  /** See RemoteDrive.prepareRead. */
  prepare(vaultId: VaultId | undefined): void {
    const { transport, vaults } = this.#parts;
    const { address } = this.#known(vaultId);
    vaults.known(vaultId).then(
      (vault) => {
        const url = vault?.urls[address.urlIndex % vault.urls.length];
        if (url !== undefined) transport.prepareVault(url);
      },
      (error: unknown) => log('nothing was made ready: %o', error),
    );
  }

  /** See RemoteDrive.rangeSupport. */
  rangeSupport(content: ContentReference): RangeSupport {
    const known = this.#knowledge.get(content.vaultId ?? 'default');
    return known === undefined || performance.now() >= known.untilMs ? 'unknown' : known.support;
  }

  /** What is known of each vault, by its id. */
  capabilities(): Readonly<Record<string, VaultCapability>> {
    return Object.fromEntries(
      [...this.#knowledge].map(([id, known]) => [
        id,
        { ranges: known.support, download: known.address.downloadUrl ?? 'unknown' },
      ]),
    );
  }

  /** Tries forms of range until a reply covers what is wanted. */
  async #attempt(
    member: Member,
    content: ContentReference,
    wanted: Wanted,
    vault: Vault,
    options: CallOptions,
  ): Promise<ContentStream> {
    const { session, counters } = member;
    const { transport, rates, holds } = this.#parts;
    const parts = { transport, rates, holds, session, counters };
    const known = this.#known(content.vaultId);
    const isWhole = wanted.startBytes === 0 && wanted.endBytes === wanted.totalBytes;
    const isProven = !isWhole && known.form !== undefined;
    const forms = isWhole ? (['none'] as const) : known.form === undefined ? rangeForms : [known.form];
    let why = '';
    for (const form of forms) {
      const header = rangeHeader(form, wanted);
      const answer = await requestContent(parts, vault, known.address, content, header, options);
      if (answer instanceof ReplyError) {
        why = answer.message;
        continue;
      }
      const judged = covered(form, wanted, answer.reply.status, answer.reply.headers);
      if (judged.kind === 'covers') {
        if (!isWhole) learn(known, form, judged.proves);
        return this.#stream(member, content, judged, answer, options);
      }
      answer.reply.body.destroy();
      why = judged.why;
      if (judged.kind === 'contradiction') break;
    }
    if (isProven) {
      // It worked before: a fault, until it happens again and again.
      known.failures += 1;
      if (known.failures >= provenFailuresMax) forgetForm(known);
      throw new RemoteError('unavailable', `download of ${thingOf(content)}: ${why}`);
    }
    throw new RemoteError('protocol', `download of ${thingOf(content)}: ${why}`);
  }

  #stream(
    { counters }: Member,
    content: ContentReference,
    covers: { readonly startBytes: number; readonly endBytes: number },
    answer: VaultReply,
    options: CallOptions,
  ): ContentStream {
    const { transport, rates } = this.#parts;
    const { down } = rates;
    const isAwaited = (): boolean => (options.callClass ?? 'interactive') === 'interactive';
    return countedBody({
      body: answer.reply.body,
      offsetBytes: covers.startBytes,
      endBytes: covers.endBytes,
      thing: thingOf(content),
      broken: (error) => transport.failure(error, answer.url, options.signal),
      paced: down === undefined ? undefined : (chunk, signal) => down.portions(chunk, isAwaited, signal),
      received: (bytes) => counters.received(bytes),
    });
  }

  #known(vaultId: VaultId | undefined): VaultKnowledge {
    const id = vaultId ?? 'default';
    let known = this.#knowledge.get(id);
    if (known === undefined) {
      if (this.#knowledge.size >= vaultsMax) this.#knowledge.clear();
      known = { address: new DownloadAddress(), form: undefined, support: 'unknown', untilMs: Infinity, failures: 0 };
      this.#knowledge.set(id, known);
    }
    if (performance.now() >= known.untilMs) forgetForm(known);
    return known;
  }
}

function learn(known: VaultKnowledge, form: RangeForm, proves: RangeSupport | undefined): void {
  known.failures = 0;
  if (form === 'none') {
    known.form = 'none';
    known.support = 'none';
    known.untilMs = performance.now() + noneForgottenMs;
  } else if (proves !== undefined) {
    known.form = form;
    known.support = proves;
    known.untilMs = Infinity;
  }
}

function forgetForm(known: VaultKnowledge): void {
  known.form = undefined;
  known.support = 'unknown';
  known.untilMs = Infinity;
  known.failures = 0;
}

function isUnavailable(error: unknown): boolean {
  return error instanceof RemoteError && error.kind === 'unavailable';
}
