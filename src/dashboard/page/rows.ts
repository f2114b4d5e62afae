// A list of elements that follows a list of values. Promises: a value that stays keeps its element, and with it focus; where the element that
// had the focus goes, its successor gets it, else whatever `fallback` names; one that only changes its place keeps it.

/** One value's element. */
export interface Row<T> {
  readonly element: HTMLElement;
  update(value: T): void;
  /** Called when the element has gone. */
  remove?(): void;
}

export interface RowsOptions<T> {
  readonly parent: HTMLElement;
  key(value: T): string;
  make(value: T): Row<T>;
  /** Gets the focus when nothing is left. */
  fallback(): HTMLElement | undefined;
}

export class Rows<T> {
  readonly #options: RowsOptions<T>;
  #rows = new Map<string, Row<T>>();

  constructor(options: RowsOptions<T>) {
    this.#options = options;
  }

  show(values: readonly T[]): void {
    const { parent } = this.#options;
    const active = document.activeElement;
    const before = this.#rows;
    const after = new Map<string, Row<T>>();
    for (const value of values) {
      const key = this.#freeKey(value, after);
      const row = before.get(key) ?? this.#options.make(value);
      row.update(value);
      after.set(key, row);
    }
    const gone = [...before].filter(([key]) => !after.has(key)).map(([, row]) => row);
    const focused = gone.find(({ element }) => element.contains(document.activeElement));
    const place = focused === undefined ? -1 : [...parent.children].indexOf(focused.element);
    for (const row of gone) {
      row.element.remove();
      row.remove?.();
    }
    let index = 0;
    for (const { element } of after.values()) {
      if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
      index += 1;
    }
    this.#rows = after;
    if (place >= 0) this.#focusAt(place);
    // Taken out and put in elsewhere.
    else if (active instanceof HTMLElement && parent.contains(active)) active.focus({ preventScroll: true });
  }

  /** Two values may have one key, as two changes of one path. */
  #freeKey(value: T, taken: ReadonlyMap<string, Row<T>>): string {
    const key = this.#options.key(value);
    let free = key;
    for (let number = 2; taken.has(free); number += 1) free = `${key}\n${number}`;
    return free;
  }

  #focusAt(place: number): void {
    const { parent } = this.#options;
    const neighbour = parent.children[Math.min(place, parent.children.length - 1)];
    const target = neighbour?.querySelector('button') ?? this.#options.fallback();
    target?.focus();
  }
}
