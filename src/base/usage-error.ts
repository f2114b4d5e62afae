// The error of a user who asked for something that cannot be meant. The command line ends with exit code 2 on it.

/** Wrong usage. `message` is one line; `hint`, where there is one, says what would have been right. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}
