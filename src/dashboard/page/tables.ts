// Tables of a mount: what waits, what was refused, what is in conflict. Promises: headings for every column, also where a phone shows a
// row as a block; the caption says how many there are when only the first are shown.
import { element, setAttribute, setText } from './element.ts';
import { type Row, Rows } from './rows.ts';

export interface Column<T> {
  readonly title: string;
  /** Numbers stand at the right; what is short stays on one line. */
  readonly kind?: 'path' | 'number' | 'short' | 'actions';
  /** Makes a cell's content, once; what it returns brings a value into it. */
  readonly fill: (cell: HTMLElement, value: T) => (value: T) => void;
}

/** A column of text. */
export function textColumn<T>(title: string, text: (value: T) => string, kind?: 'number' | 'short'): Column<T> {
  return {
    title,
    ...(kind === undefined ? {} : { kind }),
    fill: (cell) => (value) => setText(cell, text(value)),
  };
}

export interface TableOptions<T> {
  readonly title: string;
  readonly columns: readonly Column<T>[];
  key(value: T): string;
  /** Stands beside the title. */
  readonly action?: HTMLElement;
  /** Gets the focus when the last row goes. */
  fallback(): HTMLElement | undefined;
}

/** A table with its title; hidden while it is empty. */
export class Table<T> {
  readonly element: HTMLElement;
  readonly #count = element('span', { class: 'count' });
  readonly #more = element('p', { class: 'more' });
  readonly #scroll: HTMLElement;
  readonly #rows: Rows<T>;

  constructor(options: TableOptions<T>) {
    const { title, columns } = options;
    const heading = element('h3', {}, title, ' ', this.#count);
    const head = element('div', { class: 'block-head' }, heading, ...(options.action ? [options.action] : []));
    // Roles are said again: a row shown as a block is no row to some browsers.
    const titles = columns.map((column) =>
      element('th', { scope: 'col', role: 'columnheader', class: column.kind ?? 'text' }, column.title),
    );
    const body = element('tbody', { role: 'rowgroup' });
    const table = element(
      'table',
      { role: 'table', 'aria-label': title },
      element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...titles)),
      body,
    );
    this.#scroll = element('div', { class: 'scroll', role: 'group', 'aria-label': title }, table);
    this.element = element('div', { class: 'block', hidden: true }, head, this.#scroll, this.#more);
    this.#rows = new Rows<T>({
      parent: body,
      key: (value) => options.key(value),
      make: (value) => tableRow(columns, value),
      fallback: () => options.fallback(),
    });
  }

  /** Shows the first values of `count`. */
  show(values: readonly T[], count: number): void {
    this.#rows.show(values);
    this.element.hidden = count === 0;
    setText(this.#count, count.toLocaleString('en'));
    const more = count - values.length;
    this.#more.hidden = more <= 0;
    this.#letScroll();
    setText(this.#more, `and ${more.toLocaleString('en')} more`);
  }

  /** What scrolls can be reached by keyboard, in every browser; what does not is no stop on the way. */
  #letScroll(): void {
    const doesScroll = this.#scroll.scrollHeight > this.#scroll.clientHeight;
    if (doesScroll) setAttribute(this.#scroll, 'tabindex', '0');
    else this.#scroll.removeAttribute('tabindex');
  }
}

function tableRow<T>(columns: readonly Column<T>[], value: T): Row<T> {
  const row = element('tr', { role: 'row' });
  const updates = columns.map(({ title, kind, fill }) => {
    const cell = element('td', { role: 'cell', class: kind ?? 'text' });
    const content = element('div');
    if (kind !== 'path' && kind !== 'actions')
      cell.append(element('span', { class: 'label', 'aria-hidden': 'true' }, title));
    cell.append(content);
    row.append(cell);
    return fill(content, value);
  });
  return {
    element: row,
    update: (next) => {
      for (const update of updates) update(next);
    },
  };
}
