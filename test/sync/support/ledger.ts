// What became of each content that programs here and others at the service left: who made it, who overwrote or removed it, who touched
// its file. Each content is a text of its own, so that it is told wherever it turns up.

/** Who changes things: programs of this machine, or others, at the service. */
export type Side = 'here' | 'there';

interface Content {
  readonly by: Side;
  /** Overwrote it or removed its file. */
  readonly givenUpBy: Set<Side>;
  /** Changed, renamed or moved its file, or a folder above it. */
  readonly touchedBy: Set<Side>;
}

export class Ledger {
  readonly #contents = new Map<string, Content>();

  made(text: string, by: Side): void {
    if (text !== '') this.#contents.set(text, { by, givenUpBy: new Set(), touchedBy: new Set([by]) });
  }

  /** Was there when all began. */
  found(text: string): void {
    this.#contents.set(text, { by: 'there', givenUpBy: new Set(), touchedBy: new Set() });
  }

  gaveUp(text: string, by: Side): void {
    this.touched(text, by);
    this.#contents.get(text)?.givenUpBy.add(by);
  }

  touched(text: string, by: Side): void {
    this.#contents.get(text)?.touchedBy.add(by);
  }

  /** Contents that must be somewhere in the end. */
  wanted(): string[] {
    return this.#of(({ givenUpBy }) => givenUpBy.size === 0);
  }

  /** Contents that one side gave up and the other one never touched. */
  unwanted(): string[] {
    return this.#of(({ givenUpBy, touchedBy }) => givenUpBy.size === 1 && touchedBy.size === 1);
  }

  /** Contents that nobody touched, or one side only. */
  simple(): string[] {
    return this.#of(({ touchedBy }) => touchedBy.size < 2);
  }

  #of(which: (content: Content) => boolean): string[] {
    return [...this.#contents].filter(([, content]) => which(content)).map(([text]) => text);
  }
}
