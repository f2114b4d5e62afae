// The service's two spellings of a time: ISO 8601 with any number of fractional digits (UTC where no zone is given), and
// WCF's /Date(milliseconds±zzzz)/, whose offset is for display only.
import type { Timestamp } from '../../remote-drive.ts';

const iso =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?)?\s*(?:(Z)|([+-])(\d{2}):?(\d{2})?)?$/i;
const wcf = /^\\?\/Date\((-?\d{1,17})(?:[+-]\d{4})?\)\\?\/$/i;

/** The time a text means, to the nanosecond, or undefined when it is neither form. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const trimmed = text.trim();
  const match = iso.exec(trimmed);
  if (match !== null) return fromIso(match);
  const milliseconds = wcf.exec(trimmed)?.[1];
  if (milliseconds === undefined) return undefined;
  const value = Number(milliseconds);
  // The range of Date: beyond it nothing can be shown.
  if (Math.abs(value) > 8.64e15) return undefined;
  const seconds = Math.floor(value / 1000);
  return { seconds, nanoseconds: (value - seconds * 1000) * 1_000_000 };
}

/** What .NET's DateTime, and so the service, can hold: the years 1 to 9999. */
const earliest = -62_135_596_800;
const latest = 253_402_300_799;

/** The service's spelling of a time: UTC with seven fractional digits. What is finer is cut off; what it cannot hold is its nearest. */
export function formatTimestamp(time: Timestamp): string {
  if (time.seconds < earliest) return '0001-01-01T00:00:00.0000000Z';
  if (time.seconds > latest) return '9999-12-31T23:59:59.9999999Z';
  const whole = new Date(time.seconds * 1000).toISOString().slice(0, 19);
  const ticks = String(Math.floor(time.nanoseconds / 100)).padStart(7, '0');
  return `${whole}.${ticks}Z`;
}

function fromIso(match: RegExpExecArray): Timestamp | undefined {
  const part = (index: number): number => Number(match[index] ?? 0);
  const [month, day, hour, minute, second] = [part(2), part(3), part(4), part(5), part(6)];
  // 24:00 and leap seconds are legal in ISO 8601.
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60) return undefined;
  const date = new Date(0);
  // setUTCFullYear, because Date.UTC takes the years 0 to 99 for 1900 to 1999 and .NET's unset time is in the year 1.
  date.setUTCFullYear(part(1), month - 1, day);
  date.setUTCHours(hour, minute, second, 0);
  const offsetMinutes = (part(10) * 60 + part(11)) * (match[9] === '-' ? -1 : 1);
  const fraction = (match[7] ?? '').slice(0, 9).padEnd(9, '0');
  return { seconds: date.getTime() / 1000 - offsetMinutes * 60, nanoseconds: Number(fraction) };
}
