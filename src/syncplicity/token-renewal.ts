// The one second chance of a request whose token was not accepted.
import { asksForNewToken } from './errors.ts';
import type { ErrorReply } from './errors.ts';
import type { AccessToken, Token } from './token.ts';

export class TokenRenewal {
  readonly #tokens: AccessToken;
  #used = false;

  constructor(tokens: AccessToken) {
    this.#tokens = tokens;
  }

  /** True, once, when the request should be sent again with another token; this one is given up then. */
  helps(error: ErrorReply, token: Token): boolean {
    if (!asksForNewToken(error)) return false;
    const isBare403 = error.status === 403;
    if (this.#used) {
      if (isBare403) this.#tokens.renewalWasUseless(token, error.call);
      return false;
    }
    if (isBare403 && !this.#tokens.renewalMayHelp(token, error.call)) return false;
    this.#used = true;
    this.#tokens.reject(token);
    return true;
  }
}
