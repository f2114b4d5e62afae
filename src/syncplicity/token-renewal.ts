// The second chance of a request whose token was not accepted, and a third where the new one was accepted by nobody either.
import { asksForNewToken } from './errors.ts';
import type { ErrorReply } from './errors.ts';
import type { AccessToken, Token } from './token.ts';

/** What a request of a program waits for; with what was accepted nowhere so often, others are refused as well. */
const renewalsMax = 3;
/** Replies that came too late, when others had a new token already: they say nothing of the next one, unless tokens live no longer than calls. */
const overtakenMax = 10;

export class TokenRenewal {
  readonly #tokens: AccessToken;
  readonly #renewalsMax: number;
  #renewals = 0;
  #overtaken = 0;

  /** `isOnce`: a request that there is another way for, or that may be refused for another reason in the same words and costs much. */
  constructor(tokens: AccessToken, { isOnce = false } = {}) {
    this.#tokens = tokens;
    this.#renewalsMax = isOnce ? 1 : renewalsMax;
  }

  /** True when the request should be sent again with another token; this one is given up then. */
  helps(error: ErrorReply, token: Token): boolean {
    if (!asksForNewToken(error)) return false;
    if (this.#renewalsMax > 1 && this.#overtaken < overtakenMax && this.#tokens.wasReplaced(token)) {
      this.#overtaken += 1;
      return true;
    }
    const isBare403 = error.status === 403;
    if (this.#renewals > 0) {
      const isWorthAnother = this.#renewals < this.#renewalsMax && this.#tokens.isUnproven(token);
      if (!isWorthAnother || (isBare403 && this.#tokens.wasUselessFor(error.call))) {
        if (isBare403) this.#tokens.renewalWasUseless(token, error.call);
        return false;
      }
    } else if (isBare403 && !this.#tokens.renewalMayHelp(token, error.call)) {
      return false;
    }
    this.#renewals += 1;
    this.#tokens.reject(token);
    return true;
  }
}
