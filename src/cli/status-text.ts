// A mount's status for people: narrow, aligned, what matters first.
import { formatDuration, formatSize } from '../base/quantities.ts';
import type { MountStatus } from '../control/status.ts';

/** Entries of each list that are shown; --json has all. */
const SHOWN_ITEMS = 10;
const LABEL_WIDTH = 11;

/** The lines of one mount. `nowMs` is the wall clock, for "since"; `detached`: only programs that used it before see it. */
export function statusLines(status: MountStatus, nowMs: number, mount: { readonly detached?: boolean } = {}): string[] {
  const { pending, calls, cache, transfers } = status;
  const rows: [string, string][] = [
    ['connection', `${status.connection}${status.readOnly ? ', read-only' : ''}`],
    ['process', `${status.pid}, mounted for ${formatDuration(nowMs - Date.parse(status.since))}, ${status.transport}`],
    ['service', status.online ? 'online' : 'OFFLINE'],
    ['pending', pending.files === 0 ? 'nothing' : `${countOf(pending.files, 'change')}, ${formatSize(pending.bytes)}`],
    ...listed(pending.items, (item) => {
      const sent = item.state === 'sending' ? ` ${formatSize(item.sent)} of ${formatSize(item.bytes)}` : '';
      return `${item.change} ${item.path}: ${item.state}${sent}${item.error === '' ? '' : ` (${item.error})`}`;
    }),
    ...titled('failed', status.failed, (item) => `${item.change} ${item.path}: ${item.error}`),
    ...titled('conflicts', status.conflicts, (item) => `${item.path} kept as ${item.keptAs}`),
    ...titled('unfinished', status.unfinished, (item) => `${item.path}, ${formatSize(item.bytes)}`),
    ...titled('waiting', status.waiting, waitText),
    ...(status.localOnly.files === 0 ? [] : [localOnlyRow(status.localOnly)]),
    ['calls', callsText(calls)],
    ['cache', `${formatSize(cache.memoryBytes)} in memory, ${formatSize(cache.diskBytes)} on disk${hitsText(cache)}`],
    ['transfers', `${formatSize(transfers.bytesIn)} in, ${formatSize(transfers.bytesOut)} out`],
    ['memory', formatSize(status.memory.ownBytes)],
  ];
  const title = mount.detached === true ? `${status.mountpoint} (detached, still in use)` : status.mountpoint;
  return [title, ...rows.map(([label, value]) => `  ${label.padEnd(LABEL_WIDTH)}${oneLine(value)}`)];
}

/** The reason of a request that failed begins with what failed already. */
function waitText({ operation, path, reason }: MountStatus['waiting'][number]): string {
  const what = `${operation} ${path}: `;
  return reason.startsWith(what) ? reason : what + reason;
}

function callsText(calls: MountStatus['calls']): string {
  const throttled = calls.throttled === 0 ? '' : `, ${calls.throttled} throttled`;
  const left =
    calls.budget.perHour === 0 ? '' : `, ${calls.budget.leftThisHour} of ${calls.budget.perHour} left this hour`;
  return `${calls.total}${throttled}${left}`;
}

function hitsText({ hits, misses }: MountStatus['cache']): string {
  return hits + misses === 0 ? '' : `, ${Math.floor((100 * hits) / (hits + misses))} % hits`;
}

function localOnlyRow({ files, bytes }: MountStatus['localOnly']): [string, string] {
  return ['local only', `${countOf(files, 'file')}, ${formatSize(bytes)}`];
}

function titled<T>(title: string, items: readonly T[], text: (item: T) => string): [string, string][] {
  return items.length === 0 ? [] : [[title, String(items.length)], ...listed(items, text)];
}

function listed<T>(items: readonly T[], text: (item: T) => string): [string, string][] {
  const shown = items.slice(0, SHOWN_ITEMS).map((item): [string, string] => ['', text(item)]);
  return items.length > SHOWN_ITEMS ? [...shown, ['', `and ${items.length - SHOWN_ITEMS} more`]] : shown;
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A path may hold a newline or an escape sequence; a terminal must not obey it. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}
