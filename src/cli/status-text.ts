// A mount's status for people: narrow, aligned, what matters first.
import { formatDuration, formatSize } from '../base/quantities.ts';
import type { MountStatus, PendingChange, PoolMember } from '../control/status.ts';
import { countOf, printable } from './printable.ts';

/** Entries of each list that are shown; --all and --json have all. */
export const SHOWN_ITEMS = 10;
const LABEL_WIDTH = 11;
const DECISIONS = 'status --retry PATH, --discard PATH or --save PATH DEST decides about them';

/** How a status is shown. */
export interface StatusView {
  /** Only programs that used the mount before see it. */
  readonly detached?: boolean;
  /** Entries of each list; SHOWN_ITEMS by default. */
  readonly itemsMax?: number;
}

/** The lines of one mount. `nowMs` is the wall clock, for "since". */
export function statusLines(status: MountStatus, nowMs: number, view: StatusView = {}): string[] {
  const { pending, calls, cache, transfers } = status;
  const listed = <T>(items: readonly T[], text: (item: T) => string, count = items.length): Row[] =>
    shownRows(items.map(text), count, view.itemsMax ?? SHOWN_ITEMS);
  const titled = <T>(title: string, items: readonly T[], text: (item: T) => string): Row[] =>
    items.length === 0 ? [] : [[title, String(items.length)], ...listed(items, text)];
  const undecided = status.failed.length + status.unfinished.length;
  const rows: Row[] = [
    ['connection', `${status.connection}${status.readOnly ? ', read-only' : ''}`],
    ['process', `${status.pid}, mounted for ${formatDuration(nowMs - Date.parse(status.since))}, ${status.transport}`],
    ['service', serviceText(status)],
    ...status.refusedSignIns.map(({ name, reason }): Row => ['sign-in', `REFUSED for ${name}: ${reason}`]),
    ['pending', pendingText(pending, status.paused)],
    ...listed(pending.items, pendingItemText, pending.files),
    ...titled('failed', status.failed, (item) => `${item.change} ${item.path}: ${item.error}`),
    ...titled('conflicts', status.conflicts, (item) => `${item.path} kept as ${item.keptAs}`),
    ...titled('unfinished', status.unfinished, (item) => `${item.path}, ${formatSize(item.bytes)}`),
    ...(undecided === 0 ? [] : ([['', DECISIONS]] satisfies Row[])),
    ...(status.pinned.paths.length === 0 ? [] : [['pinned', pinnedText(status.pinned)] satisfies Row]),
    ...titled('not purged', status.purges.refused, (reason) => reason),
    ...(status.purges.pending === 0 ? [] : ([['to purge', String(status.purges.pending)]] satisfies Row[])),
    ...titled(
      'waiting',
      status.waiting.filter(({ failed }) => !failed),
      waitText,
    ),
    ...titled('errors', repeated(status.waiting.filter(({ failed }) => failed).map(waitText)), (text) => text),
    ...(status.localOnly.files === 0 ? [] : [localOnlyRow(status.localOnly)]),
    ['calls', callsText(calls) + heldText(status.sendingHeldSeconds)],
    ...titled('members', status.members, (member) => memberText(member, nowMs)),
    ['cache', `${formatSize(cache.memoryBytes)} in memory, ${formatSize(cache.diskBytes)} on disk${hitsText(cache)}`],
    ['transfers', transfersText(transfers)],
    ['memory', formatSize(status.memory.ownBytes)],
    ...(status.metrics === null ? [] : [['metrics', status.metrics] satisfies Row]),
  ];
  const title = view.detached === true ? `${status.mountpoint} (detached, still in use)` : status.mountpoint;
  return [title, ...rows.map(([label, value]) => `  ${label.padEnd(LABEL_WIDTH)}${printable(value)}`)];
}

type Row = [label: string, value: string];

function serviceText({ online, offlineReason, paused }: MountStatus): string {
  const service = online ? 'online' : `OFFLINE${offlineReason === null ? '' : `: ${offlineReason}`}`;
  return paused ? `${service}, sending is PAUSED` : service;
}

/** While nothing is sent there is neither a pace nor an end. */
function pendingText(pending: MountStatus['pending'], paused: boolean): string {
  const { files, bytes, sent, bytesPerSecond, secondsLeft } = pending;
  if (files === 0) return 'nothing';
  const amount = [
    countOf(files, 'change'),
    sent === 0 ? formatSize(bytes) : `${formatSize(sent)} of ${formatSize(bytes)} sent`,
  ];
  if (paused) return amount.join(', ');
  const parts = [
    ...amount,
    ...(bytesPerSecond === 0 ? [] : [`${formatSize(bytesPerSecond)}/s`]),
    ...(secondsLeft === null ? [] : [`${formatDuration(secondsLeft * 1_000)} left`]),
  ];
  return parts.join(', ');
}

function pendingItemText(item: PendingChange): string {
  const sent = item.state === 'sending' ? ` ${formatSize(item.sent)} of ${formatSize(item.bytes)}` : '';
  const tries = item.attempts > 1 ? ` after ${item.attempts} attempts` : '';
  return `${item.change} ${item.path}: ${item.state}${sent}${tries}${item.error === '' ? '' : ` (${item.error})`}`;
}

/** Each text once, with how often it is there. */
function repeated(texts: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`));
}

/** The reason of a request that failed begins with what failed already. */
function waitText({ operation, path, reason }: MountStatus['waiting'][number]): string {
  const what = `${operation} ${path}: `;
  return reason.startsWith(what) ? reason : what + reason;
}

function callsText(calls: Pick<MountStatus['calls'], 'total' | 'throttled' | 'budget'>): string {
  const throttled = calls.throttled === 0 ? '' : `, ${calls.throttled} throttled`;
  const left =
    calls.budget.perHour === 0 ? '' : `, ${calls.budget.leftThisHour} of ${calls.budget.perHour} left this hour`;
  return `${calls.total}${throttled}${left}`;
}

function heldText(seconds: number | null): string {
  return seconds === null ? '' : `; changes can be sent again in ${formatDuration(seconds * 1000)}`;
}

function memberText({ name, calls, throttled, budget, out }: PoolMember, nowMs: number): string {
  const text = `${name}: ${callsText({ total: calls, throttled, budget })}`;
  if (out === null) return text;
  const since = out.since === null ? '' : ` for ${formatDuration(nowMs - Date.parse(out.since))}`;
  return `${text}, OUT${since}: ${out.reason}`;
}

function hitsText({ hits, misses }: MountStatus['cache']): string {
  return hits + misses === 0 ? '' : `, ${Math.floor((100 * hits) / (hits + misses))} % hits`;
}

function pinnedText({ paths, files, bytes, ...rest }: MountStatus['pinned']): string {
  const { filesLeft, bytesLeft, foldersLeft, trouble } = rest;
  const left = [
    ...(foldersLeft === 0 ? [] : [`${countOf(foldersLeft, 'folder')} to be listed`]),
    ...(filesLeft === 0 ? [] : [`${countOf(filesLeft, 'file')}, ${formatSize(bytesLeft)} to be fetched`]),
  ];
  const why = trouble === null ? '' : ` (${trouble})`;
  // What was written here and is kept as it was written takes nothing of the cache.
  const cached = files === 0 ? [] : [`${countOf(files, 'file')}, ${formatSize(bytes)} of the cache`];
  const all = left.length === 0 && trouble === null ? ['all is here'] : [];
  return `${countOf(paths.length, 'pin')}: ${[...all, ...cached, ...left].join('; ')}${why}`;
}

function transfersText({ bytesIn, bytesOut, limitIn, limitOut }: MountStatus['transfers']): string {
  const limit = (rate: number | null): string => (rate === null ? '' : ` (at most ${formatSize(rate)}/s)`);
  return `${formatSize(bytesIn)} in${limit(limitIn)}, ${formatSize(bytesOut)} out${limit(limitOut)}`;
}

function localOnlyRow({ files, bytes }: MountStatus['localOnly']): Row {
  return ['local only', `${countOf(files, 'file')}, ${formatSize(bytes)}`];
}

/** As many texts as are wanted, and how many more of `count` there are. */
function shownRows(texts: readonly string[], count: number, itemsMax: number): Row[] {
  const shown = texts.slice(0, itemsMax).map((text): Row => ['', text]);
  return count > shown.length ? [...shown, ['', `and ${count - shown.length} more`]] : shown;
}
