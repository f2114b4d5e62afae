// Times of the service for people and for JSON.
import type { Timestamp } from '../../remote-drive.ts';

/** ISO 8601 in UTC, to the millisecond: the spelling in JSON. */
export function isoTime({ seconds, nanoseconds }: Timestamp): string {
  return new Date(seconds * 1000 + Math.floor(nanoseconds / 1e6)).toISOString();
}

/** "2016-09-12 06:44:31Z": a cell of a table; empty where the service does not tell. */
export function timeCell(time: Timestamp | undefined): string {
  return time === undefined ? '' : `${isoTime(time).slice(0, 19).replace('T', ' ')}Z`;
}
