// Sizes, durations and counts as people type and read them.
import { UsageError } from './usage-error.ts';

const SIZE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1_000,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
/** setTimeout fires at once for anything longer (2^31 ms, 24 days). */
const LONGEST_DURATION_MS = 2 ** 31 - 1;

/** Bytes of "512M", "10G", "1.5GiB", "100 kB" or a plain number. Units are powers of 1024. Throws {@link UsageError}. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const bytes = Math.round(Number(match?.[1]) * (SIZE_UNITS[match?.[2]?.toUpperCase() ?? ''] ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`"${text}" is not a size`, 'write it like 512M or 10G');
  return bytes;
}

/** Milliseconds of "30s", "5m", "1h", "250ms" or plain seconds. Throws {@link UsageError}. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)$/i.exec(text.trim());
  const ms = Math.round(Number(match?.[1]) * (DURATION_UNITS[match?.[2]?.toLowerCase() ?? ''] ?? Number.NaN));
  if (!Number.isSafeInteger(ms)) throw new UsageError(`"${text}" is not a duration`, 'write it like 30s or 5m');
  if (ms > LONGEST_DURATION_MS) throw new UsageError(`"${text}" is too long: 24 days at most`);
  return ms;
}

/** "1.5 GiB": a size for people, at most four digits. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  // 1023.95 would be shown as 1024.0 of the smaller unit.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 100 ? 1 : 0)} ${units[unit] as string}`;
}

/** "2 d 3 h", "5 min 20 s", "4 s": a duration for people, its two greatest parts. */
export function formatDuration(ms: number): string {
  const parts: [number, string][] = [];
  let seconds = Math.max(0, Math.floor(ms / 1000));
  for (const [length, name] of [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const) {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    if (count > 0 || (length === 1 && parts.length === 0)) parts.push([count, name]);
    else if (parts.length > 0) break;
  }
  return parts
    .slice(0, 2)
    .map(([count, name]) => `${count} ${name}`)
    .join(' ');
}

/** "1 change", "2 changes". */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
