// Texts of options as values: each function takes what a user wrote and gives back what the config holds, or throws UsageError with
// what would be right. Knows no option by its name.
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parseSize } from '../base/quantities.ts';
import { UsageError } from '../base/usage-error.ts';

/** More at once only divide the line, and each holds a file and a socket. */
export const UPLOADS_LIMIT = 64;

const BANDWIDTH_HINT = 'write it like 10M, 512K, UP:DOWN like 10M:1M, or off';
/** Below this a single page would take longer than a program waits. */
const BANDWIDTH_LEAST_BYTES = 1024;

/** Bytes of content a second in each direction; 0: no limit. */
export interface Bandwidth {
  readonly upBytesPerSecond: number;
  readonly downBytesPerSecond: number;
}

/** "10M" for both directions, or "UP:DOWN"; "off" and 0 are no limit. A number alone means KiB, as for rclone and rsync. */
export function parseBandwidth(text: string): Bandwidth {
  const parts = text.split(':');
  const [up = '', down = up] = parts;
  if (parts.length > 2 || /[\s,]/.test(text.trim())) {
    throw new UsageError(`"${text}" is not a bandwidth`, BANDWIDTH_HINT);
  }
  return { upBytesPerSecond: parseRate(up), downBytesPerSecond: parseRate(down) };
}

function parseRate(text: string): number {
  const rate = text.trim().toLowerCase();
  if (rate === 'off') return 0;
  let bytes: number;
  try {
    bytes = parseSize(/^[\d.]+$/.test(rate) ? `${rate}K` : rate);
  } catch {
    throw new UsageError(`"${text}" is not a bandwidth`, BANDWIDTH_HINT);
  }
  return bytes === 0 ? 0 : atLeast(bytes, BANDWIDTH_LEAST_BYTES, text, '1K');
}

/** (uid_t)-1 means "no change" to chown(2), so it is nobody's id. */
export function parseId(text: string): number {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(id < 2 ** 32 - 1)) throw new UsageError(`"${text}" is not a numeric id`, 'id -u NAME shows that of a user');
  return id;
}

/** Permission bits to take away, octal. */
export function parseUmask(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text) || Number.parseInt(text, 8) > 0o777) {
    throw new UsageError(`"${text}" is not an octal mask`, 'write it like 022 or 077');
  }
  return Number.parseInt(text, 8);
}

/** The daemon's working directory is "/", so what is relative is made absolute here and now. */
export function parseAbsolutePath(text: string): string {
  return resolve(text);
}

/** A number where 0 means no limit. */
export function parseCount(text: string): number {
  return parseWholeNumber(text, '0 means no limit');
}

/** How many files are sent at once. */
export function parseUploads(text: string): number {
  const count = parseWholeNumber(text);
  if (count < 1 || count > UPLOADS_LIMIT) throw new UsageError(`${text} is not between 1 and ${UPLOADS_LIMIT}`);
  return count;
}

/** Digits only; `hint` is added to the error. */
export function parseWholeNumber(text: string, hint?: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`"${text}" is not a whole number`, hint);
  return Number(text);
}

/** What becomes of what programs remove: it goes to the service's trash, and stays there for the service's time, or is purged there. */
export type Removal = 'trash' | 'permanently';

export function parseRemoval(text: string): Removal {
  if (text !== 'trash' && text !== 'permanently')
    throw new UsageError(`"${text}" is no way to delete`, 'use trash or permanently');
  return text;
}

/** How a mount speaks to the kernel: by itself, or through the package fuse-native. */
export type TransportName = 'kernel' | 'fuse-native';

export function parseTransport(text: string): TransportName {
  if (text !== 'kernel' && text !== 'fuse-native')
    throw new UsageError(`"${text}" is no transport`, 'use kernel or fuse-native');
  return text;
}

/** Whether the desktop shows what needs a person: where there is a session, or never. */
export type NotificationsWanted = 'auto' | 'off';

export function parseNotifications(text: string): NotificationsWanted {
  if (text !== 'auto' && text !== 'off') throw new UsageError(`"${text}" is neither auto nor off`);
  return text;
}

/** Where to listen. Port 0: a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** "9470", ":9470", "HOST:9470" or "[::1]:9470"; without a host it is for this machine alone. */
export function parseListenAddress(text: string): ListenAddress {
  const { host = '', port = '' } =
    /^(?:(?<host>\[[\da-f:.]+\]|[\w.-]*):)?(?<port>\d{1,5})$/i.exec(text.trim())?.groups ?? {};
  const name = host.replace(/^\[(.*)\]$/, '$1');
  if (port === '' || Number(port) > 65_535 || (name !== host && isIP(name) !== 6)) {
    throw new UsageError(
      `"${text}" is not an address to listen at`,
      'write it like 9470, 127.0.0.1:9470 or [::1]:9470',
    );
  }
  return { host: name === '' ? '127.0.0.1' : name, port: Number(port) };
}

/** Whom to act for: an e-mail address or a GUID, as the service knows users. */
export function parseUser(text: string): string {
  const user = text.trim();
  const isAddress = /^[^\s@,;<>"]+@[^\s@,;<>"]+$/.test(user) && user.length <= 254;
  if (!isAddress && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(user)) {
    throw new UsageError(`"${text}" is neither an e-mail address nor a GUID`, 'write it like jane@example.com');
  }
  return user;
}

/** An instance is a directory's name below the account's. */
export function parseInstance(text: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(text)) {
    throw new UsageError(`"${text}" cannot be an instance's name`, 'use up to 64 letters, digits, ".", "_" and "-"');
  }
  return text;
}

/** The value, unless it is below `least`, which the error calls `leastText`. */
export function atLeast(value: number, least: number, text: string, leastText: string): number {
  if (value < least) throw new UsageError(`${text} is too little: ${leastText} at least`);
  return value;
}
