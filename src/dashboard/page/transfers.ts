// What of a mount is on its way to the service: how far all of it is, and the first of the changes, each with its own progress.
import { countOf, formatDuration, formatSize } from '../../base/quantities.ts';
import type { PendingChange } from '../../control/status.ts';
import type { ShownStatus } from '../view.ts';
import { element, setAttribute, setText, showPath, visible } from './element.ts';
import { Table, textColumn } from './tables.ts';

const STATES: Readonly<Record<PendingChange['state'], string>> = {
  waiting: 'Waiting',
  sending: 'Sending',
  retrying: 'Retrying',
};

export class Transfers {
  readonly element: HTMLElement;
  readonly #summary = element('p', { class: 'transfer-summary' });
  readonly #bar = element('progress', { 'aria-label': 'Sent of all that is pending' });
  readonly #table: Table<PendingChange>;

  constructor(changes: Readonly<Record<PendingChange['change'], string>>) {
    const heading = element('h3', {}, 'To Syncplicity');
    this.#table = new Table<PendingChange>({
      title: 'Pending changes',
      key: ({ path, change }) => `${change} ${path}`,
      fallback: () => undefined,
      columns: [
        {
          title: 'Path',
          kind: 'path',
          fill:
            (cell) =>
            ({ path }) =>
              showPath(cell, path),
        },
        textColumn('Change', ({ change }) => changes[change], 'short'),
        textColumn('Size', ({ change, bytes }) => (change === 'store' ? formatSize(bytes) : ''), 'number'),
        { title: 'State', fill: fillState },
      ],
    });
    this.#table.element.classList.add('pending');
    const head = element('div', { class: 'block-head' }, heading, this.#summary);
    this.element = element('div', { class: 'transfers block' }, head, this.#bar, this.#table.element);
  }

  show({ pending, paused, failed, readOnly }: ShownStatus): void {
    this.element.hidden = readOnly;
    setText(this.#summary, summaryOf(pending, paused, failed.count));
    this.#bar.hidden = pending.sent === 0;
    showProgress(this.#bar, pending.sent, pending.bytes);
    this.#table.show(pending.items, pending.files);
  }
}

function fillState(cell: HTMLElement): (value: PendingChange) => void {
  const text = element('span');
  const bar = element('progress', { 'aria-label': 'Sent' });
  cell.append(text, bar);
  return ({ state, bytes, sent, attempts, error }) => {
    // What goes in one piece counts when it has gone.
    const isSending = state === 'sending' && sent > 0;
    bar.hidden = !isSending;
    showProgress(bar, sent, bytes);
    const percent = isSending ? ` ${Math.floor((100 * Math.min(sent, bytes)) / bytes)} %` : '';
    const tries = attempts > 1 ? `, ${attempts} attempts` : '';
    setText(text, `${STATES[state]}${percent}${tries}${error === '' ? '' : `: ${visible(error)}`}`);
  };
}

function showProgress(bar: HTMLProgressElement, sent: number, bytes: number): void {
  setAttribute(bar, 'max', String(Math.max(1, bytes)));
  setAttribute(bar, 'value', String(Math.min(sent, bytes)));
}

function summaryOf(pending: ShownStatus['pending'], isPaused: boolean, failedCount: number): string {
  const { files, bytes, sent, bytesPerSecond, secondsLeft } = pending;
  if (files === 0) return failedCount === 0 ? 'All stored' : 'Nothing else is pending';
  return [
    countOf(files, 'change'),
    sent === 0 ? formatSize(bytes) : `${formatSize(sent)} of ${formatSize(bytes)} sent`,
    ...(isPaused ? ['paused'] : []),
    ...(bytesPerSecond === 0 ? [] : [`${formatSize(bytesPerSecond)}/s`]),
    ...(isPaused || secondsLeft === null ? [] : [`${formatDuration(secondsLeft * 1_000)} left`]),
  ].join(' · ');
}
