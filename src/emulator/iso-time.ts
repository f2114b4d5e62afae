// Times as clients send them: ISO 8601 with any fraction, with or without seconds; without a zone it is UTC.
import type { Ticks } from './store.ts';

const FORM = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?$/i;

/** The time in ticks; undefined when the text is none. */
export function ticksOf(text: string): Ticks | undefined {
  const [, date, minutes, seconds = '00', fraction = '', zone = 'Z'] = FORM.exec(text.trim()) ?? [];
  if (date === undefined || minutes === undefined) return undefined;
  const milliseconds = Date.parse(`${date}T${minutes}:${seconds}${zone.toUpperCase()}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 10_000n + BigInt(fraction.padEnd(7, '0').slice(0, 7));
}
