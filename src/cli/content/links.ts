// `syncplicityfs links ...`: shared links. A password comes from stdin, never from the command line, and is never printed.
import { Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import {
  createLinks,
  deleteLink,
  LINK_POLICIES,
  listLinks,
  showLink,
  updateLink,
  type LinkPolicy,
  type LinkSettings,
  type SharedLink,
} from '../../syncplicity/content/links.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { readStandardInput } from '../standard-input.ts';
import { formatTable } from '../table.ts';
import { type ContentOptions, onAccount, onTarget, PATH_ARGUMENT, withContentOptions } from './content-command.ts';
import { isoTime, timeCell } from './time-text.ts';

/** A password is typed by people. */
const PASSWORD_LIMIT_BYTES = 4096;
const COLUMNS = ['Token', 'Policy', 'Password', 'Shared', 'Path', 'URL'].map((header) => ({ header }));

interface AccountOptions extends ContentOptions {
  readonly connection?: string;
}

interface SettingOptions extends ContentOptions {
  readonly policy?: LinkPolicy;
  readonly passwordStdin?: true;
  readonly expires?: number;
  readonly message?: string;
  readonly user?: readonly string[];
  readonly group?: readonly string[];
  readonly sendEmail?: true;
}

/** The command with its subcommands. */
export function linksCommand(context: CliContext): Command {
  const command = new Command('links').description('links that share a file or folder');
  withSettings(withContentOptions(command.command('create').description('make a link and print its URL')))
    .argument(...PATH_ARGUMENT)
    .option('--send-email', 'have Syncplicity mail the link to its users')
    .action((path: string, options: SettingOptions) => create(context, path, options));
  onOne(command.command('list').description('list your links')).action((options: AccountOptions) =>
    onAccount(context, options.connection, options, async ({ api, call }) => {
      const links = await listLinks(api, call);
      if (wantsJson(options)) printJson(context, links.map(linkJson));
      else formatTable(COLUMNS, links.map(linkRow)).forEach((line) => context.print(line));
    }),
  );
  onOne(command.command('show <TOKEN>').description('show a link')).action((token: string, options: AccountOptions) =>
    onAccount(context, options.connection, options, async ({ api, call }) => {
      const link = await showLink(api, token, call);
      if (wantsJson(options)) printJson(context, linkJson(link));
      else formatTable(COLUMNS, [linkRow(link)]).forEach((line) => context.print(line));
    }),
  );
  withSettings(onOne(command.command('update <TOKEN>').description('change a link'))).action(
    async (token: string, options: AccountOptions & SettingOptions) => {
      const settings = await settingsOf(options);
      if (Object.values(settings).every((value) => value === undefined)) throw new UsageError('nothing to change');
      await onAccount(context, options.connection, options, ({ api, call }) => updateLink(api, token, settings, call));
    },
  );
  onOne(command.command('delete <TOKEN>').description('revoke a link')).action(
    (token: string, options: AccountOptions) =>
      onAccount(context, options.connection, options, ({ api, call }) => deleteLink(api, token, call)),
  );
  return command;
}

function onOne(command: Command): Command {
  return withContentOptions(command).option('--connection <NAME>', 'whose links (default: the only connection)');
}

function withSettings(command: Command): Command {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  return command
    .addOption(new Option('--policy <POLICY>', 'who may follow the link').choices(LINK_POLICIES))
    .option('--password-stdin', 'read a password for the link from stdin; an empty line takes it away')
    .addOption(new Option('--expires <DAYS>', 'end the link after so many days (0: never)').argParser(parseDays))
    .option('--message <TEXT>', 'what its users are told')
    .addOption(new Option('--user <EMAIL>', 'whom it is for (again for more)').argParser(collect))
    .addOption(new Option('--group <GUID>', 'a group it is for (again for more)').argParser(collect));
}

async function create(context: CliContext, path: string, options: SettingOptions): Promise<void> {
  const settings = { ...(await settingsOf(options)), policy: options.policy ?? 'internal' };
  await onTarget(context, path, options, async ({ api, call }, target) => {
    if (target.kind === 'root') throw new Error('the whole drive cannot be shared by a link: give a file or folder');
    const [link] = await createLinks(api, [target], settings, { ...call, sendsMail: options.sendEmail === true });
    if (link === undefined) throw new Error('Syncplicity made no link, and did not say why: see links list');
    if (wantsJson(options)) printJson(context, linkJson(link));
    else context.print(printable(link.url ?? link.landingPageUrl ?? link.token));
  });
}

async function settingsOf(options: SettingOptions): Promise<LinkSettings> {
  const { policy, expires, message, user, group } = options;
  let password: string | undefined;
  if (options.passwordStdin === true) {
    password = (await readStandardInput(PASSWORD_LIMIT_BYTES)).replace(/\r?\n$/, '');
  }
  return { policy, password, expiresInDays: expires, message, users: user, groups: group };
}

function parseDays(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('a number of days is needed');
  return Number(text);
}

function linkRow({ token, policy, hasPassword, shared, path, url }: SharedLink): string[] {
  return [token, policy ?? '', hasPassword ? 'yes' : 'no', timeCell(shared), path ?? '', url ?? ''].map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function linkJson(link: SharedLink): Record<string, unknown> {
  return {
    token: link.token,
    url: link.url ?? null,
    landingPage: link.landingPageUrl ?? null,
    syncpoint: link.syncpointId ?? null,
    path: link.path ?? null,
    policy: link.policy ?? null,
    password: link.hasPassword,
    expiresInDays: link.expiresInDays ?? null,
    expired: link.isExpired,
    shared: link.shared === undefined ? null : isoTime(link.shared),
    uses: link.uses ?? null,
    users: link.users,
    groups: link.groups,
    message: link.message ?? null,
  };
}
