// One call of the gateway from asking to reply: token, budget, request, renewal of a stale token, 429, retries, errors. Knows
// the conventions all calls share and no call in particular.
import { abortReason } from '../base/abort.ts';
import { createLog } from '../base/log.ts';
import { RemoteError } from '../remote-drive.ts';
import type { CallOptions } from '../remote-drive.ts';
import { actingRefusal } from './acting.ts';
import type { Counters } from './counters.ts';
import { UnclearError, disguisedStatus, isSpikeArrest, isThrottling, replyError } from './errors.ts';
import type { ErrorReply, ReplyError } from './errors.ts';
import { bodyBytes, errorText } from './http/body-text.ts';
import { retryAfterMs } from './http/retry-after.ts';
import { below } from './http/service-url.ts';
import { NoReplyError, wasNeverSent } from './http/transport.ts';
import type { HttpMethod, HttpReply, HttpTransport } from './http/transport.ts';
import { type Member, Moved } from './members/member.ts';
import type { Members } from './members/members.ts';
import type { Retries } from './retries.ts';
import type { TokenRenewal } from './token-renewal.ts';
import type { Token } from './token.ts';
import { parseLossless } from './wire/lossless-json.ts';
import { parseReply } from './wire/reply.ts';
import { webPage } from './wire/web-page.ts';

const log = createLog('gateway');

/** A call of the gateway. */
export interface GatewayCall {
  /** The call's name in the guide, for messages and statistics. */
  readonly name: string;
  /** What it is about, for messages: "folder 12 of syncpoint 3". */
  readonly thing: string;
  /** Path and query below the gateway's address. */
  readonly path: string;
  /** Default: GET. */
  readonly method?: HttpMethod;
  /** JSON text. */
  readonly body?: string;
  /** Default: JSON. */
  readonly accept?: string;
  /** Made in the account's own name, whomever calls act for. */
  readonly asOneself?: boolean;
  /** The reply may hold a secret: no message shows a piece of it. */
  readonly secret?: boolean;
}

/** A 200 reply whose body is not read yet. */
export interface OpenReply {
  readonly reply: HttpReply;
  readonly url: URL;
}

export interface GatewayParts {
  readonly transport: HttpTransport;
  readonly counters: Counters;
  readonly members: Members;
  readonly retries: Retries;
}

/** Whether a request is on its way, or was and nobody knows what became of it. A refused one counts as not sent. */
interface Progress {
  isSent: boolean;
}

/** What one call learnt of the members that tried it. */
interface Attempt {
  /** They cannot serve it. */
  readonly without: Set<Member>;
  readonly renewals: Map<Member, TokenRenewal>;
  /** Refused with a new token too, for want of a right to call: their credentials, or this call to everybody. */
  readonly unauthorized: Map<Member, ReplyError>;
  /** The one that has a new token for it. */
  again: Member | undefined;
}

/** Replies read in one piece are single objects and lists of hundreds; folder listings are streamed instead. */
const wholeReplyBytesMax = 32 << 20;

export class Gateway {
  readonly #parts: GatewayParts;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  /** Makes a call and parses its whole reply, again from the start when the reply breaks. */
  json(call: GatewayCall, options: CallOptions): Promise<unknown> {
    return this.#whole(call, options, async ({ reply }) => {
      const value = parseReply(await bodyBytes(reply, wholeReplyBytesMax), call.name, { secret: call.secret === true });
      const refusal = this.refusal(value, call);
      if (refusal !== undefined) throw refusal;
      return value;
    });
  }

  /** As {@link json}, of a reply that is no JSON; undefined where it is longer than that. */
  bytes(call: GatewayCall, bytesMax: number, options: CallOptions): Promise<Buffer | undefined> {
    return this.#whole(call, options, ({ reply }) => bodyBytes(reply, bytesMax));
  }

  #whole<T>(call: GatewayCall, options: CallOptions, read: (opened: OpenReply) => Promise<T>): Promise<T> {
    return this.#parts.retries.run(options.signal, async () => {
      const opened = await this.#open(call, options);
      try {
        return await read(opened);
      } catch (error) {
        throw this.broken(error, opened, options.signal);
      } finally {
        opened.reply.body.destroy();
      }
    });
  }

  /**
   * Makes a call that changes something; it is tried again only where the one before cannot have been acted on. Resolves with
   * the JSON of its 2xx reply: undefined where there is none or it broke, for the change was made then. Rejects with
   * {@link UnclearError} where nobody knows whether it was made.
   */
  change(call: GatewayCall, options: CallOptions): Promise<unknown> {
    return this.#parts.retries.run(
      options.signal,
      async () => {
        const progress: Progress = { isSent: false };
        let opened: OpenReply;
        try {
          opened = await this.#open(call, options, progress);
        } catch (error) {
          throw progress.isSent && mayHaveActed(error) ? new UnclearError(error) : error;
        }
        const value = await this.#acknowledged(call, opened, options.signal);
        const refusal = this.refusal(value, call);
        if (refusal !== undefined) throw mayHaveActed(refusal) ? new UnclearError(refusal) : refusal;
        return value;
      },
      (error) => !(error instanceof UnclearError),
    );
  }

  /** Makes a call and resolves with its 200 reply, whose body the caller must read or destroy. */
  open(call: GatewayCall, options: CallOptions): Promise<OpenReply> {
    return this.#parts.retries.run(options.signal, () => this.#open(call, options));
  }

  /** The error that a 200 reply holds in place of content, if it does. */
  refusal(value: unknown, call: GatewayCall): ReplyError | undefined {
    const status = disguisedStatus(value);
    if (status === undefined) return undefined;
    const body = this.#parts.members.withoutSecrets(JSON.stringify(value));
    const failure = replyError({ call: call.name, thing: call.thing, status, reason: '', body });
    this.#parts.counters.refused(failure);
    return failure;
  }

  /** What an error met while reading an opened body becomes. */
  broken(error: unknown, opened: OpenReply, signal: AbortSignal | undefined): Error {
    if (error instanceof RemoteError && error.kind === 'unavailable') this.#parts.counters.refused(error);
    return this.#parts.transport.failure(error, opened.url, signal);
  }

  /** The JSON of a change's reply. That it came says enough, unless it is a page of somebody else; what follows is a bonus. */
  async #acknowledged(call: GatewayCall, opened: OpenReply, signal: AbortSignal | undefined): Promise<unknown> {
    let text = '';
    try {
      text = (await bodyBytes(opened.reply, wholeReplyBytesMax))?.toString('utf8') ?? '';
      return parseLossless(text);
    } catch (error) {
      const page = webPage(text, `${call.name}: ${call.thing}`);
      if (page !== undefined) throw new UnclearError(page);
      if (signal?.aborted === true) throw abortReason(signal);
      if (!(error instanceof SyntaxError)) log('a change was acknowledged, then the reply broke: %o', error);
      return undefined;
    } finally {
      opened.reply.body.destroy();
    }
  }

  async #open(call: GatewayCall, options: CallOptions, progress?: Progress): Promise<OpenReply> {
    const { signal, callClass = 'interactive' } = options;
    const { members } = this.#parts;
    const attempt: Attempt = { without: new Set(), renewals: new Map(), unauthorized: new Map(), again: undefined };
    for (;;) {
      const { without, again } = attempt;
      const { member, gateway, token } = await members.turn({ callClass, signal, without, only: again });
      attempt.again = undefined;
      options.onLeave?.();
      const url = below(gateway, call.path);
      if (progress !== undefined) progress.isSent = true;
      let reply: HttpReply;
      try {
        reply = await this.#send(url, call, options, member, token, progress === undefined);
      } catch (error) {
        if (error instanceof Moved) without.add(member);
        else if (!this.#isUnreachable(member, error, attempt)) throw error;
        if (progress !== undefined) progress.isSent = false;
        continue;
      }
      const isDone = reply.status === 200 || (call.method !== undefined && reply.status > 200 && reply.status < 300);
      if (isDone) {
        member.served(call.name);
        member.session.token.accepted(token);
        this.#served(attempt);
        return { reply, url };
      }
      const failure = await this.#refused(call, member, token, reply, attempt);
      if (failure !== undefined) throw failure;
      if (progress !== undefined) progress.isSent = false;
    }
  }

  /** What a refusal means for the call; undefined: it was not looked at, and is to be made again. */
  async #refused(
    call: GatewayCall,
    member: Member,
    token: Token,
    reply: HttpReply,
    attempt: Attempt,
  ): Promise<RemoteError | undefined> {
    const { session } = member;
    const error: ErrorReply = {
      call: call.name,
      thing: call.thing,
      status: reply.status,
      reason: session.withoutSecrets(reply.reason),
      body: session.withoutSecrets(await errorText(reply)),
      retryAfterMs: retryAfterMs(reply.headers, Date.now()),
    };
    if (isThrottling(error)) {
      member.refused({ retryAfterMs: error.retryAfterMs, spikeArrest: isSpikeArrest(error) });
      return undefined;
    }
    member.accepted();
    const isOnce = attempt.unauthorized.size > 0 || this.#parts.members.hasOther(new Set([...attempt.without, member]));
    const renewal = attempt.renewals.get(member) ?? session.renewal({ isOnce });
    attempt.renewals.set(member, renewal);
    if (renewal.helps(error, token)) {
      attempt.again = member;
      return undefined;
    }
    const failure = replyError(error);
    if (token.actsFor !== undefined && call.asOneself !== true) {
      const lack = actingRefusal(failure, call.method !== undefined);
      if (lack !== undefined) return lack;
    }
    if (error.status === 401 || failure.kind === 'unauthenticated') {
      attempt.unauthorized.set(member, failure);
      member.notLetIn(failure, call.name);
      attempt.without.add(member);
      if (this.#parts.members.hasOther(attempt.without)) return undefined;
    } else {
      this.#served(attempt);
    }
    member.counters.refused(failure);
    if (failure.kind === 'unavailable') member.counters.faulted();
    return failure;
  }

  /** True where nothing left this machine and another member can make the call. */
  #isUnreachable(member: Member, error: unknown, { without }: Attempt): boolean {
    if (!(error instanceof NoReplyError) || !wasNeverSent(error)) return false;
    const { members } = this.#parts;
    members.attendance.failed(member, error);
    without.add(member);
    return members.hasOther(without);
  }

  /** Somebody was let in: those who were not have credentials that do not work. */
  #served({ unauthorized }: Attempt): void {
    for (const [member, failure] of unauthorized) this.#parts.members.attendance.failed(member, failure);
  }

  #send(
    url: URL,
    call: GatewayCall,
    options: CallOptions,
    member: Member,
    token: Token,
    mayRepeat: boolean,
  ): Promise<HttpReply> {
    member.counters.call(call.name, options.callClass ?? 'interactive');
    const headers = {
      accept: call.accept ?? 'application/json',
      'content-type': 'application/json',
      ...member.session.headers(token, call.asOneself),
    };
    const { method = 'GET', body } = call;
    const onDeparture = (): void => member.left();
    const request = (signal: AbortSignal | undefined): Promise<HttpReply> =>
      this.#parts.transport.send({ pool: 'gateway', method, url, headers, body, signal, onDeparture });
    return member.send(request, options.signal, mayRepeat);
  }
}

/** Lost on the way or in the server: a request that was sent whole may have been carried out. */
function mayHaveActed(error: unknown): error is RemoteError {
  if (error instanceof NoReplyError) return error.sent === 'all';
  return error instanceof RemoteError && error.kind === 'unavailable';
}
