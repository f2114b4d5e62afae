// The systemd unit of a drive that a user's session mounts, as text. Knows systemd's quoting; runs nothing and writes nothing.

/** What a unit mounts. */
export interface ServiceUnit {
  /** The connection's name, for people; its id, which no renaming changes. */
  readonly connection: { readonly id: string; readonly name: string };
  /** Absolute. */
  readonly mountpoint: string;
  /** As behind -o; empty for none. */
  readonly options: string;
  /** Node and the program, absolute: a session's PATH is not a terminal's. */
  readonly program: readonly string[];
  /** Directories that the user has elsewhere than by default. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What is pending is waited for this long when the session ends; the journal keeps the rest for the next mount. */
const FLUSH_TIMEOUT = '1m';
/** That, the unmount, and some time for a slow disk. */
const STOP_TIMEOUT_SECONDS = 120;
/** Longer than `mount` gives a daemon to come up: it says what is wrong. */
const START_TIMEOUT_SECONDS = 150;

const EXEC_START = 'ExecStart=';

/** The unit's name: an instance of "syncplicityfs@", escaped as systemd-escape(1) does. */
export function unitName(connectionName: string): string {
  return `syncplicityfs@${escapedInstance(connectionName)}.service`;
}

/** The unit file. */
export function unitText({ connection, mountpoint, options, program, environment }: ServiceUnit): string {
  const command = (...words: readonly string[]): string => [...program, ...words].map(quoted).join(' ');
  const given = options === '' ? [] : ['-o', options];
  return [
    '# Written by `syncplicityfs service install`, which writes it anew; `syncplicityfs service remove` takes it away.',
    '[Unit]',
    `Description=${oneLine(`Syncplicity drive "${connection.name}"`)}`,
    '# A drive whose daemon ends again and again needs a person.',
    'StartLimitIntervalSec=300',
    'StartLimitBurst=5',
    '',
    '[Service]',
    'Type=notify',
    ...Object.entries(environment).map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}`),
    `${EXEC_START}${command('mount', '--foreground', ...given, '--', connection.id, mountpoint)}`,
    '# What does not get there in time is sent by the next mount.',
    `ExecStop=-${command('flush', '--timeout', FLUSH_TIMEOUT, '--', mountpoint)}`,
    `TimeoutStartSec=${START_TIMEOUT_SECONDS}`,
    `TimeoutStopSec=${STOP_TIMEOUT_SECONDS}`,
    '# The main process ends the daemon, in order.',
    'KillMode=mixed',
    'Restart=on-failure',
    'RestartSec=2',
    '',
    '[Install]',
    'WantedBy=default.target',
    '',
  ].join('\n');
}

/** The mountpoint of a unit that {@link unitText} wrote; undefined for any other. */
export function mountpointOf(text: string): string | undefined {
  // A name may hold what is the end of a line to regular expressions, and not to systemd.
  const line = text.split('\n').find((one) => one.startsWith(EXEC_START));
  return line === undefined ? undefined : unquoted(line.slice(EXEC_START.length)).at(-1);
}

/** A word of a command line in a unit: specifiers, variables and quotes mean nothing in it. */
export function quoted(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (/^[\w%$@+=:,./-]+$/.test(plain)) return plain;
  const escaped = plain.replace(/[\\"]/g, '\\$&').replace(/[\u0000-\u001f\u007f]/g, hexEscape);
  return `"${escaped}"`;
}

/** The words of a command line that {@link quoted} made. */
function unquoted(line: string): string[] {
  const words = line.match(/"(?:[^"\\]|\\.)*"|[^ ]+/g) ?? [];
  return words.map((word) => {
    const inner = word.startsWith('"')
      ? word
          .slice(1, -1)
          .replace(/\\(x([0-9a-f]{2})|.)/g, (_all, one: string, hex: string | undefined) =>
            hex === undefined ? one : String.fromCharCode(Number.parseInt(hex, 16)),
          )
      : word;
    return inner.replaceAll('%%', '%').replaceAll('$$', '$');
  });
}

function hexEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** systemd.unit(5), "String Escaping for Inclusion in Unit Names". */
function escapedInstance(name: string): string {
  return Array.from(Buffer.from(name), (byte, index) => {
    const character = String.fromCharCode(byte);
    if (character === '/') return '-';
    const isPlain = /[A-Za-z0-9:_]/.test(character) || (character === '.' && index > 0);
    return isPlain ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}

/** A value in which specifiers mean nothing. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').replaceAll('%', '%%');
}
