// The figures of a mount that change slowly: cache, pins, calls, memory. A list of terms and what they are.
import { countOf, formatSize } from '../../base/quantities.ts';
import type { ShownStatus } from '../view.ts';
import { element, setText, visible } from './element.ts';

interface Fact {
  readonly term: string;
  /** The figure; '' hides it. */
  figure(status: ShownStatus): string;
  /** A few words below it. */
  note(status: ShownStatus): string;
}

const FACTS: readonly Fact[] = [
  {
    term: 'Cache hits',
    figure: ({ cache: { hits, misses } }) =>
      hits + misses === 0 ? '–' : `${Math.floor((100 * hits) / (hits + misses))} %`,
    note: ({ cache: { hits, misses } }) => `of ${(hits + misses).toLocaleString('en')} reads`,
  },
  {
    term: 'Cached',
    figure: ({ cache }) => formatSize(cache.diskBytes),
    note: ({ cache }) => `on disk, ${formatSize(cache.memoryBytes)} in memory`,
  },
  {
    term: 'Pinned',
    figure: ({ pinned }) => (pinned.paths.count === 0 ? '' : formatSize(pinned.bytes)),
    note: ({ pinned }) => pinnedNote(pinned),
  },
  {
    term: 'Transferred',
    figure: ({ transfers }) => `${formatSize(transfers.bytesIn)} in`,
    note: ({ transfers }) => `${formatSize(transfers.bytesOut)} out${limits(transfers)}`,
  },
  {
    term: 'Calls',
    figure: ({ calls }) => calls.total.toLocaleString('en'),
    note: ({ calls: { budget, throttled } }) =>
      [
        budget.perSecond === 0 ? 'no limit a second' : `at most ${budget.perSecond} a second`,
        ...(budget.perHour === 0 ? [] : [`${budget.perHour.toLocaleString('en')} an hour`]),
        ...(throttled === 0 ? [] : [`${throttled.toLocaleString('en')} throttled`]),
      ].join(', '),
  },
  {
    term: 'Only here',
    figure: ({ localOnly }) => (localOnly.files === 0 ? '' : countOf(localOnly.files, 'file')),
    note: ({ localOnly }) => `${formatSize(localOnly.bytes)} that programs leave and nobody needs`,
  },
  {
    term: 'To be purged',
    figure: ({ purges: { pending, refused } }) => (pending + refused.count === 0 ? '' : String(pending)),
    note: ({ purges: { refused } }) =>
      refused.count === 0 ? 'from the trash' : `${refused.count} refused: ${visible(refused.items[0] ?? '')}`,
  },
  {
    term: 'Memory',
    figure: ({ memory }) => formatSize(memory.ownBytes),
    note: () => 'of its process',
  },
];

export class Facts {
  readonly element = element('dl', { class: 'facts' });
  readonly #facts = FACTS.map((fact) => {
    const figure = element('span', { class: 'figure' });
    const note = element('span', { class: 'note' });
    const box = element('div', {}, element('dt', {}, fact.term), element('dd', {}, figure, note));
    return { fact, figure, note, box };
  });

  constructor() {
    this.element.append(...this.#facts.map(({ box }) => box));
  }

  show(status: ShownStatus): void {
    for (const { fact, figure, note, box } of this.#facts) {
      const text = fact.figure(status);
      box.hidden = text === '';
      setText(figure, text);
      setText(note, fact.note(status));
    }
  }
}

function pinnedNote({ paths, files, filesLeft, bytesLeft, foldersLeft, trouble }: ShownStatus['pinned']): string {
  return [
    `${countOf(paths.count, 'pin')}, ${countOf(files, 'file')}`,
    ...(foldersLeft === 0 ? [] : [`${countOf(foldersLeft, 'folder')} to be listed`]),
    ...(filesLeft === 0 ? [] : [`${formatSize(bytesLeft)} to be fetched`]),
    ...(trouble === null ? [] : [visible(trouble)]),
  ].join(', ');
}

function limits({ limitIn, limitOut }: ShownStatus['transfers']): string {
  const parts = [
    ...(limitIn === null ? [] : [`in ${formatSize(limitIn)}/s`]),
    ...(limitOut === null ? [] : [`out ${formatSize(limitOut)}/s`]),
  ];
  return parts.length === 0 ? '' : `; at most ${parts.join(', ')}`;
}
