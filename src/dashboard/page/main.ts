// The status page: follows what its server tells, one section a mount. Starts itself.
import { countOf } from '../../base/quantities.ts';
import type { MountView, Sample, Update } from '../view.ts';
import { Connection, type LinkState } from './connection.ts';
import { DiscardDialog } from './discard-dialog.ts';
import { byId, element, setAttribute, setText } from './element.ts';
import { MountSection } from './mount-section.ts';
import { Rows } from './rows.ts';
import { Said } from './said.ts';

const LINK_TEXTS: Readonly<Record<LinkState, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  lost: 'Connection lost',
  hidden: 'Asleep',
  refused: 'No access',
};
const NOTICES: Readonly<Partial<Record<LinkState, string>>> = {
  lost: 'Connection lost: what is shown is old. The page tries again by itself. If "syncplicityfs dashboard" has ended, start it again.',
  refused: 'This page has no key, or that of an earlier run. Open it with "syncplicityfs dashboard".',
};

const summary = byId('summary', HTMLElement);
const link = byId('link', HTMLElement);
const notice = byId('notice', HTMLElement);
const main = byId('mounts', HTMLElement);
const said = new Said();
const dialog = new DiscardDialog();
const empty = element(
  'div',
  { class: 'empty', hidden: true },
  element('h2', {}, 'Nothing is mounted'),
  element('p', {}, 'A drive shows up here as soon as it is mounted, for example with '),
  element('p', {}, element('code', {}, 'syncplicityfs mount --demo ~/syncplicity-demo')),
);
const list = element('div', { class: 'list' });
main.append(empty, list);

/** Where one change after another is refused, the number is said now and then. */
const REFUSED_PAUSE_MS = 20_000;

/** What is said aloud of a mount when it changes. */
interface Told {
  readonly state: string;
  readonly refused: number;
  /** When that was said last. */
  readonly refusedAtMs?: number | undefined;
}
let told: ReadonlyMap<string, Told> | undefined;
let history: Readonly<Record<string, readonly Sample[]>> = {};

const sections = new Rows<MountView>({
  parent: list,
  key: ({ mountpoint }) => mountpoint,
  make: ({ mountpoint }) => {
    const section = new MountSection(mountpoint, history[mountpoint] ?? [], {
      act: (action) => connection.act(action),
      say: (text) => said.say(text),
      askDiscard: (asked) => dialog.ask(asked),
    });
    return { element: section.element, update: (view) => section.show(view), remove: () => section.stop() };
  },
  fallback: () => main,
});

const connection = new Connection({ onUpdate, onState });
connection.start();

function onUpdate(update: Update): void {
  history = update.history ?? {};
  sections.show(update.mounts);
  empty.hidden = update.mounts.length > 0;
  const text = summaryOf(update.mounts);
  setText(summary, text);
  const refused = refusedCount(update.mounts);
  document.title = refused > 0 ? `(${refused}) syncplicityfs` : 'syncplicityfs';
  sayChanges(update.mounts);
}

function onState(state: LinkState): void {
  setAttribute(link, 'data-state', state);
  setText(link, LINK_TEXTS[state]);
  const text = NOTICES[state];
  // While it connects again, what was said holds.
  if (state === 'live' || text !== undefined) {
    notice.hidden = text === undefined;
    setText(notice, text ?? '');
    main.classList.toggle('old', state === 'lost');
  }
  if (state === 'refused') {
    sections.show([]);
    setText(summary, '');
    empty.hidden = true;
  }
}

function refusedCount(mounts: readonly MountView[]): number {
  return mounts.reduce((sum, view) => sum + (view.state === 'serving' ? view.status.failed.count : 0), 0);
}

function summaryOf(mounts: readonly MountView[]): string {
  if (mounts.length === 0) return '';
  const pending = mounts.reduce((sum, view) => sum + (view.state === 'serving' ? view.status.pending.files : 0), 0);
  const refused = refusedCount(mounts);
  return [
    countOf(mounts.length, 'mount'),
    pending === 0 ? 'nothing pending' : `${countOf(pending, 'change')} pending`,
    ...(refused === 0 ? [] : [`${refused} refused`]),
  ].join(' · ');
}

/** What somebody who does not look has to know: mounts that come, go and change, and changes that are refused. */
function sayChanges(mounts: readonly MountView[]): void {
  const now = new Map(mounts.map((view) => [view.mountpoint, toldOf(view)]));
  if (told !== undefined) {
    for (const [mountpoint, current] of now) {
      const before = told.get(mountpoint);
      if (before?.state !== current.state) said.say(`${mountpoint} ${current.state}`);
      now.set(mountpoint, sayRefused(mountpoint, before, current));
    }
    for (const mountpoint of told.keys()) if (!now.has(mountpoint)) said.say(`${mountpoint} is not mounted any more`);
  }
  told = now;
}

/** What is not said yet counts as not told. */
function sayRefused(mountpoint: string, before: Told | undefined, current: Told): Told {
  const refusedAtMs = before?.refusedAtMs;
  if (current.refused <= (before?.refused ?? 0)) return { ...current, refusedAtMs };
  const nowMs = performance.now();
  if (refusedAtMs !== undefined && nowMs - refusedAtMs < REFUSED_PAUSE_MS)
    return { ...current, refused: before?.refused ?? 0, refusedAtMs };
  said.say(`${mountpoint}: ${countOf(current.refused, 'change')} refused`);
  return { ...current, refusedAtMs: nowMs };
}

function toldOf(view: MountView): Told {
  if (view.state === 'silent') return { state: 'does not answer', refused: 0 };
  if (view.state === 'dead') return { state: 'has lost its process', refused: 0 };
  if (view.state === 'failing') return { state: 'cannot be shown', refused: 0 };
  const { online, failed } = view.status;
  return { state: online ? 'is online' : 'is offline', refused: failed.count };
}
