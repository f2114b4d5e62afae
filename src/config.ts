// One frozen value that says all a mount needs to know. The command line makes it; mount.ts builds the drive from it.
// Holds no secrets: the daemon reads credentials from the connection store itself, so that none passes through argv or a pipe.
import { normalize } from 'node:path';
import { nearNames } from './base/near-names.ts';
import type { UserDirectories } from './base/paths.ts';
import { parseDuration, parseSize } from './base/quantities.ts';
import { UsageError } from './base/usage-error.ts';
import {
  UPLOADS_LIMIT,
  type Bandwidth,
  type ListenAddress,
  atLeast,
  parseBandwidth,
  parseAbsolutePath,
  parseCount,
  parseListenAddress,
  parseId,
  parseInstance,
  parseUmask,
  parseUploads,
  parseUser,
  parseWholeNumber,
  parseRemoval,
  parseNotifications,
  parseTransport,
  type TransportName,
} from './config/option-values.ts';
import type { MountConfig } from './config/mount-config.ts';

export type { MountConfig, MountSource } from './config/mount-config.ts';

/** Defaults of the options above; each with the reason for its number. */
export const defaults = {
  /** Holds a working set of documents, and fits beside other things on a laptop's disk. */
  cacheSizeBytes: 10 * 2 ** 30,
  /** Half for blocks just read, half for read-ahead; keeps the daemon well below 250 MiB. */
  memoryBytes: 64 * 2 ** 20,
  /** A user gives up at about this time; the service answers in well under a second when it answers at all. */
  opTimeoutMs: 30_000,
  /** rclone mount's --dir-cache-time: what users of cloud mounts are used to. */
  listingLifetimeMs: 300_000,
  /** 5,760 calls a day of the 259,200 that are allowed; a colleague's change is seen before one has told of it. */
  pollIntervalMs: 15_000,
  /** Events are not told for everything, perhaps; an hour would be too long to find out. */
  backstopLifetimeMs: 900_000,
  umask: 0o022,
  /** Editors write, rename and remove within this time; a user hardly notices it. */
  settleMs: 1_000,
  /** Eight round trips at once fill a usual line with small files, and a vault bears them. */
  uploadsMax: 8,
  /** What a desktop and its logs need to go on. */
  stageReserveBytes: 2 ** 30,
  /** What a user bears as one silent step; beyond, mv shows what it copies. */
  exdevFilesMax: 1_000,
  exdevBytesMax: 2 ** 30,
  /** The guide's limits chapter. */
  callsPerSecond: 15,
  callsPerHour: 10_800,
  bandwidth: { upBytesPerSecond: 0, downBytesPerSecond: 0 },
} as const;

/** What the cache leaves free of its disk: more than changed files do, whose room it must not take. */
export function cacheReserveBytes(stageReserveBytes: number): number {
  return stageReserveBytes * 1.5;
}

/** /dev/fuse is Linux's; what other systems have is reached through libfuse. */
export function defaultTransport(platform: NodeJS.Platform = process.platform): TransportName {
  return platform === 'linux' ? 'kernel' : 'fuse-native';
}

/** What options may say; everything left out takes its default. */
export type MountOptions = Partial<{ -readonly [Key in Exclude<keyof MountConfig, FixedKey>]: MountConfig[Key] }>;

/** What no option says: it is given, or the user's directories. */
type FixedKey =
  | 'mountpoint'
  | 'source'
  | 'connectionName'
  | 'deviceName'
  | 'foreground'
  | 'logFile'
  | 'stateDirectory'
  | 'runtimeDirectories'
  | 'configDirectory';

type OptionValue = string | number | Bandwidth | ListenAddress;

/** One option of ours, in both its spellings. */
export interface MountOptionSpec {
  readonly key: Exclude<keyof MountOptions, 'kernelOptions'>;
  /** As an argument, in commander's notation: "--cache-size <SIZE>", or "-r, --read-only" without a value. */
  readonly flags: string;
  /** In -o and fstab: "cache_size". */
  readonly name: string;
  readonly help: string;
  /** Turns the text after "=" into the value; undefined for an option without one. Throws {@link UsageError}. */
  readonly parse: ((text: string) => OptionValue) | undefined;
}

/** All options of a mount: the command line, -o, the help and the manual are made from this list. */
export const mountOptionSpecs: readonly MountOptionSpec[] = [
  {
    key: 'readOnly',
    flags: '-r, --read-only',
    name: 'ro',
    help: 'refuse every change',
    parse: undefined,
  },
  {
    key: 'writeThrough',
    flags: '--write-through',
    name: 'write_through',
    help: 'let close, mkdir, unlink and rename wait for Syncplicity and return its error',
    parse: undefined,
  },
  {
    key: 'storesTimes',
    flags: '--store-mtime',
    name: 'store_mtime',
    help: 'store a modification time set without a change of content too, by sending the content again',
    parse: undefined,
  },
  {
    key: 'removal',
    flags: '--delete <HOW>',
    name: 'delete',
    help: 'what becomes of what is removed: "trash", from which it can be restored, or "permanently" (default: trash)',
    parse: parseRemoval,
  },
  {
    key: 'managesSyncpoints',
    flags: '--manage-syncpoints',
    name: 'manage_syncpoints',
    help: 'let mkdir, mv and rmdir at the top make, rename and delete syncpoints, for everybody they are shared with',
    parse: undefined,
  },
  {
    key: 'settleMs',
    flags: '--settle <TIME>',
    name: 'settle',
    help: 'how long after its last close a change waits before it is sent (default: 1s)',
    parse: parseDuration,
  },
  {
    key: 'uploadsMax',
    flags: '--uploads <N>',
    name: 'uploads',
    help: `files sent at once, 1 to ${UPLOADS_LIMIT} (default: 8)`,
    parse: parseUploads,
  },
  {
    key: 'stageReserveBytes',
    flags: '--stage-reserve <SIZE>',
    name: 'stage_reserve',
    help: 'disk space left free: writing is refused when what waits to be sent would need it (default: 1G)',
    parse: parseSize,
  },
  {
    key: 'exdevFilesMax',
    flags: '--move-max-files <N>',
    name: 'move_max_files',
    help: 'files of a directory that is moved in one step to where Syncplicity can only copy; mv itself copies a larger one, visibly (default: 1000)',
    parse: (text) => parseWholeNumber(text),
  },
  {
    key: 'exdevBytesMax',
    flags: '--move-max-size <SIZE>',
    name: 'move_max_size',
    help: 'the same for bytes that would have to be fetched first (default: 1G)',
    parse: parseSize,
  },
  {
    key: 'allowOther',
    flags: '--allow-other',
    name: 'allow_other',
    help: 'let other users in (as an ordinary user this needs user_allow_other in /etc/fuse.conf)',
    parse: undefined,
  },
  {
    key: 'uid',
    flags: '--uid <ID>',
    name: 'uid',
    help: 'show everything as owned by this user id (default: the mounting user)',
    parse: parseId,
  },
  {
    key: 'gid',
    flags: '--gid <ID>',
    name: 'gid',
    help: 'show everything as owned by this group id',
    parse: parseId,
  },
  {
    key: 'umask',
    flags: '--umask <OCTAL>',
    name: 'umask',
    help: 'permission bits to take away from everything (default: 022)',
    parse: parseUmask,
  },
  {
    key: 'cacheSizeBytes',
    flags: '--cache-size <SIZE>',
    name: 'cache_size',
    help: 'disk space for content already read (default: 10G, and less where its disk is short)',
    parse: parseSize,
  },
  {
    key: 'cacheDirectory',
    flags: '--cache-dir <DIR>',
    name: 'cache_dir',
    help: 'where content already read is kept (default: $XDG_CACHE_HOME/syncplicityfs)',
    parse: parseAbsolutePath,
  },
  {
    key: 'memoryBytes',
    flags: '--memory <SIZE>',
    name: 'memory',
    help: 'memory for content just read and read ahead (default: 64M)',
    parse: (text) => atLeast(parseSize(text), 8 * 2 ** 20, text, '8M'),
  },
  {
    key: 'opTimeoutMs',
    flags: '--op-timeout <TIME>',
    name: 'op_timeout',
    help: 'how long a program waits for the service before it gets an error (default: 30s)',
    parse: (text) => atLeast(parseDuration(text), 1_000, text, '1s'),
  },
  {
    key: 'listingLifetimeMs',
    flags: '--listing-lifetime <TIME>',
    name: 'listing_lifetime',
    help: 'how long the listing of a folder is trusted where the service tells no events (default: 5m)',
    parse: parseDuration,
  },
  {
    key: 'pollIntervalMs',
    flags: '--poll-interval <TIME>',
    name: 'poll_interval',
    help: 'how often the service is asked whether anything changed, 0 for never (default: 15s)',
    parse: (text) => (parseDuration(text) === 0 ? 0 : atLeast(parseDuration(text), 1_000, text, '1s')),
  },
  {
    key: 'backstopLifetimeMs',
    flags: '--backstop <TIME>',
    name: 'backstop',
    help: 'after what time the listing of a folder is looked at again although no event was told (default: 15m)',
    parse: parseDuration,
  },
  {
    key: 'callsPerSecond',
    flags: '--calls-per-second <N>',
    name: 'calls_per_second',
    help: 'pace of calls to the service, of each app key in a pool, 0 for none; more than Syncplicity allows (default: 15) is refused by it',
    parse: parseCount,
  },
  {
    key: 'callsPerHour',
    flags: '--calls-per-hour <N>',
    name: 'calls_per_hour',
    help: 'calls to the service in any hour, of each app key in a pool, 0 for no limit (default: 10800)',
    parse: parseCount,
  },
  {
    key: 'bandwidth',
    flags: '--bwlimit <RATE>',
    name: 'bwlimit',
    help: 'bytes of content a second, over all connections together: 10M, 512K, or UP:DOWN like 10M:1M or off:2M; a number alone means KiB, as for rclone and rsync (default: off)',
    parse: parseBandwidth,
  },
  {
    key: 'asUser',
    flags: '--as-user <WHO>',
    name: 'as_user',
    help: "mount the drive of this user, an e-mail address or a GUID; the connection's account needs the privilege to act for others",
    parse: parseUser,
  },
  {
    key: 'instance',
    flags: '--instance <NAME>',
    name: 'instance',
    help: 'a name for a second mount of the same account, which keeps its own state',
    parse: parseInstance,
  },
  {
    key: 'transport',
    flags: '--transport <HOW>',
    name: 'transport',
    help: 'how to speak to the kernel: "kernel", by itself, or "fuse-native", through the package of that name and libfuse (default: kernel on Linux, fuse-native elsewhere)',
    parse: parseTransport,
  },
  {
    key: 'notifications',
    flags: '--notifications <WHEN>',
    name: 'notifications',
    help: 'show on the desktop what needs you, like a refused file or sign-in: "auto", where you have a session, or "off", only in the log (default: auto)',
    parse: parseNotifications,
  },
  {
    key: 'metrics',
    flags: '--metrics <ADDRESS>',
    name: 'metrics',
    help: 'tell Prometheus how the mount does, at http://ADDRESS/metrics: a port of this machine like 9470, 0 for a free one, or HOST:PORT; whoever reaches the address can read it (default: off)',
    parse: parseListenAddress,
  },
  {
    key: 'caFile',
    flags: '--ca-file <FILE>',
    name: 'ca_file',
    help: 'PEM file with further certificate authorities to trust',
    parse: parseAbsolutePath,
  },
];

/** mount(8)'s options for every file system, and FUSE's `nonempty`; handed on as they are. */
const KERNEL_OPTIONS = (
  'nosuid nodev exec noexec sync async dirsync atime noatime diratime nodiratime ' +
  'relatime norelatime strictatime nostrictatime lazytime nolazytime nonempty'
).split(' ');
/**
 * mount(8)'s options that speak to mount(8), fstab's readers or FUSE itself, which we satisfy anyway; and `dev` and `suid`, which
 * mount.fuse adds for root: what a server decides is no place for either, so our mounts have nodev and nosuid whatever is said.
 */
const IGNORED_OPTIONS =
  'dev suid rw defaults auto noauto user nouser users owner group nofail _netdev default_permissions silent loud'.split(
    ' ',
  );

/**
 * Reads the values of -o ("ro,cache_size=10G,noexec"; a comma in a value is written "\,"). Later ones win. Throws
 * {@link UsageError} that names options like the unknown one.
 */
export function parseMountOptions(texts: readonly string[]): MountOptions {
  const options: MountOptions = {};
  const kernelOptions = new Set<string>();
  for (const item of texts.flatMap(splitOptions)) {
    const equals = item.indexOf('=');
    const name = equals < 0 ? item : item.slice(0, equals);
    const value = equals < 0 ? undefined : item.slice(equals + 1);
    const spec = mountOptionSpecs.find((candidate) => candidate.name === name);
    if (spec !== undefined) setOption(options, spec, value);
    else if (name === 'rw') options.readOnly = false;
    else if (KERNEL_OPTIONS.includes(item)) {
      // "exec" takes "noexec" back and the other way round: the last one counts.
      kernelOptions.delete(item.startsWith('no') ? item.slice(2) : `no${item}`);
      kernelOptions.add(item);
    } else if (!IGNORED_OPTIONS.includes(item) && !/^(x-|X-|comment=|fsname=|subtype=)/.test(item)) {
      throw unknownOption(name);
    }
  }
  if (kernelOptions.size > 0) options.kernelOptions = [...kernelOptions];
  return options;
}

/** Sets one option from its text; `where` in errors is its -o name. */
function setOption(options: MountOptions, spec: MountOptionSpec, text: string | undefined): void {
  if (spec.parse === undefined) {
    if (text !== undefined) throw new UsageError(`the option "${spec.name}" takes no value`);
    Object.assign(options, { [spec.key]: true });
    return;
  }
  if (text === undefined || text === '')
    throw new UsageError(`the option "${spec.name}" needs a value: ${spec.name}=…`);
  Object.assign(options, { [spec.key]: parseOption(spec, text, spec.name) });
}

/** Parses an option's value; errors begin with `label`, the spelling the user chose. */
export function parseOption(spec: MountOptionSpec, text: string, label: string): OptionValue | undefined {
  try {
    return spec.parse?.(text);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${label}: ${error.message}`, error.hint);
    throw error;
  }
}

function unknownOption(name: string): UsageError {
  if (name === 'remount') {
    return new UsageError('a mounted drive keeps its options', 'unmount it, and mount it with the new ones');
  }
  const near = nearNames(name.replaceAll('-', '_'), [
    ...mountOptionSpecs.map((spec) => spec.name),
    ...KERNEL_OPTIONS,
    ...IGNORED_OPTIONS,
  ]);
  const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'syncplicityfs mount --help lists them';
  return new UsageError(`unknown mount option "${name}"`, hint);
}

/** Splits at commas that no backslash protects, and takes the backslashes away. Empty items are left out, as mount(8) does. */
function splitOptions(text: string): string[] {
  const items = text.match(/(?:\\[\s\S]|[^,\\]|\\$)+/g) ?? [];
  return items.map((item) => item.replace(/\\([\s\S])/g, '$1').trim()).filter((item) => item !== '');
}

/** Reads "CONNECTION", or "CONNECTION:/PATH" for one folder of it. Throws {@link UsageError}. */
export function parseSource(text: string): { readonly connection: string; readonly path: string } {
  const colon = text.indexOf(':/');
  const connection = colon < 0 ? text : text.slice(0, colon);
  if (connection === '') throw new UsageError(`"${text}" names no connection`, 'write CONNECTION or CONNECTION:/PATH');
  const path = colon < 0 ? '/' : normalize(text.slice(colon + 1));
  return { connection, path: path.length > 1 ? path.replace(/\/$/, '') : path };
}

/** Joins options, defaults and directories into the frozen config. Checks nothing on disk. */
export function createMountConfig(
  what: Pick<MountConfig, 'mountpoint' | 'source' | 'connectionName' | 'deviceName' | 'foreground' | 'logFile'>,
  options: MountOptions,
  directories: UserDirectories,
): MountConfig {
  return Object.freeze({
    ...what,
    readOnly: options.readOnly ?? false,
    writeThrough: options.writeThrough ?? false,
    storesTimes: options.storesTimes ?? false,
    removal: options.removal ?? 'trash',
    managesSyncpoints: options.managesSyncpoints ?? false,
    settleMs: options.settleMs ?? defaults.settleMs,
    uploadsMax: options.uploadsMax ?? defaults.uploadsMax,
    stageReserveBytes: options.stageReserveBytes ?? defaults.stageReserveBytes,
    exdevFilesMax: options.exdevFilesMax ?? defaults.exdevFilesMax,
    exdevBytesMax: options.exdevBytesMax ?? defaults.exdevBytesMax,
    allowOther: options.allowOther ?? false,
    uid: options.uid,
    gid: options.gid,
    umask: options.umask ?? defaults.umask,
    kernelOptions: Object.freeze(options.kernelOptions ?? []),
    cacheDirectory: options.cacheDirectory ?? directories.cache,
    cacheSizeBytes: options.cacheSizeBytes ?? defaults.cacheSizeBytes,
    memoryBytes: options.memoryBytes ?? defaults.memoryBytes,
    stateDirectory: directories.state,
    runtimeDirectories: directories.runtime,
    configDirectory: directories.config,
    asUser: options.asUser,
    instance: options.instance,
    opTimeoutMs: options.opTimeoutMs ?? defaults.opTimeoutMs,
    listingLifetimeMs: options.listingLifetimeMs ?? defaults.listingLifetimeMs,
    backstopLifetimeMs: options.backstopLifetimeMs ?? defaults.backstopLifetimeMs,
    pollIntervalMs: options.pollIntervalMs ?? defaults.pollIntervalMs,
    callsPerSecond: options.callsPerSecond ?? defaults.callsPerSecond,
    callsPerHour: options.callsPerHour ?? defaults.callsPerHour,
    bandwidth: options.bandwidth ?? defaults.bandwidth,
    transport: options.transport ?? defaultTransport(),
    notifications: options.notifications ?? 'auto',
    metrics: options.metrics,
    caFile: options.caFile,
  });
}
