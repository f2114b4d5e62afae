// The manual page, made from the same commands and options as the help, so that the two cannot disagree.
import type { Command } from 'commander';
import { environmentVariables } from '../connections/environment.ts';

const SECTIONS: readonly (readonly [title: string, paragraphs: readonly string[]])[] = [
  [
    'FILES',
    [
      '$XDG_CONFIG_HOME/syncplicityfs/ (~/.config/syncplicityfs)\tConnections with their credentials, mode 0600.',
      '$XDG_STATE_HOME/syncplicityfs/ (~/.local/state/syncplicityfs)\tThe tree of each account with what waits to be sent, and logs of the mounts in logs/. Deleting it loses what is not sent.',
      '$XDG_CACHE_HOME/syncplicityfs/ (~/.cache/syncplicityfs)\tContent already read. May be deleted while nothing is mounted.',
      '$XDG_RUNTIME_DIR/syncplicityfs/\tControl sockets of the mounts, and while dashboard runs the file that leads the browser to its page; below the state directory, in run/, where XDG_RUNTIME_DIR is not set. Links to those of the mounts lie there in any case, so that a mount of a session is found without one.',
      '/etc/fuse.conf\tuser_allow_other, which --allow-other needs for ordinary users.',
    ],
  ],
  [
    'ENVIRONMENT',
    [
      'HTTPS_PROXY, HTTP_PROXY, NO_PROXY\tProxies for the service and its vaults. Loopback addresses never use one.',
      `${environmentVariables.join(', ')}\tThe connection "env", which need not be stored, by the keys of the authentication JSON; each with _FILE behind it for a file that holds the value.`,
      'DEBUG\tsyncplicityfs:* writes what the program does to its log, and stack traces with errors.',
      'NO_COLOR\tAny value: no colours.',
    ],
  ],
  [
    'FSTAB',
    [
      'work  /home/alice/drive  fuse.syncplicityfs  rw,setuid=alice,_netdev,nofail,x-systemd.automount  0  0\tMounts the connection "work" of the user alice at boot; options are written with _ instead of -.',
    ],
  ],
  [
    'EXIT STATUS',
    ['0\tDone.', '1\tFailed, or not everything is stored in time; the reason is on standard error.', '2\tWrong usage.'],
  ],
  [
    'EXAMPLES',
    [
      'syncplicityfs mount --demo ~/drive\tA drive to try, without an account.',
      'syncplicityfs connections add -p syncplicity --auth-file auth.json\tAdd an account.',
      'syncplicityfs mount "Syncplicity (me@example.com)" ~/drive\tMount it.',
      'syncplicityfs flush ~/drive\tWait until everything is stored.',
      'syncplicityfs status --retry /Project/plan.txt\tTry what Syncplicity refused again.',
      'syncplicityfs dashboard\tShow the mounts in a browser.',
      'syncplicityfs unmount ~/drive\tSend what is pending and unmount it.',
    ],
  ],
  ['SEE ALSO', ['mount(8), fusermount3(1), fuse(4)']],
];

/** The page in man(7)'s language. */
export function manPage(program: Command, version: string): string {
  const lines = [
    `.\\" Made from the help of syncplicityfs: change that instead.`,
    `.TH SYNCPLICITYFS 1 "" "syncplicityfs ${version}" "User Commands"`,
    '.SH NAME',
    `syncplicityfs \\- ${escape('mount Syncplicity as a drive')}`,
    '.SH SYNOPSIS',
  ];
  const commands = leaves(program);
  for (const command of commands) lines.push(`.B ${escape(pathOf(command))}`, escape(command.usage()), '.br');
  lines.push('.SH DESCRIPTION', escape(program.description()), '.SH COMMANDS');
  for (const command of commands) lines.push(...section(command));
  for (const [title, paragraphs] of SECTIONS) {
    lines.push(`.SH ${title}`);
    for (const paragraph of paragraphs) {
      const [term, text] = paragraph.split('\t');
      if (text === undefined) lines.push(escape(paragraph));
      else lines.push('.TP', `.B ${escape(term as string)}`, escape(text));
    }
  }
  return `${lines.join('\n')}\n`;
}

function section(command: Command): string[] {
  const lines = [`.SS ${escape(pathOf(command))}`, escape(sentence(command.description()))];
  for (const argument of command.registeredArguments) {
    if (argument.description === '') continue;
    const name = argument.name();
    lines.push('.TP', `.I ${escape(argument.required ? name : `[${name}]`)}`, escape(sentence(argument.description)));
  }
  const help = command.createHelp();
  for (const option of command.options) {
    if (option.hidden) continue;
    lines.push('.TP', `.B ${escape(help.optionTerm(option))}`, escape(sentence(help.optionDescription(option))));
  }
  return lines;
}

/** The commands that do something, in the order of the help; hidden ones left out. */
function leaves(command: Command): Command[] {
  const visible = command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => child.name() !== 'help');
  return visible.length === 0 ? [command] : visible.flatMap(leaves);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.)]$/.test(text) ? '' : '.'}`;
}

/** Hyphens that shall stay hyphens, backslashes, and what at a line's start would be a request. */
function escape(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('\n', ' ')
    .replace(/^([.'])/, '\\&$1');
}
