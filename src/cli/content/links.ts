// `syncplicityfs links ...`: shared links. A password comes from the terminal or stdin, never from the command line, and is never printed.
import { Command, InvalidArgumentError, Option } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import type { TargetFile, TargetFolder } from '../../mount/remote-path.ts';
import type { LinkedObject, LinkPolicy, LinkSettings, SharedLink } from '../../syncplicity/content/links.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { countOf, printable } from '../printable.ts';
import type { Prompt } from '../prompt.ts';
import { readSecret, readSecretLine } from '../secret-input.ts';
import { formatTable } from '../table.ts';
import {
  type AccountOptions,
  type ContentOptions,
  onAccount,
  onTarget,
  onTargets,
  PATH_ARGUMENT,
  type Service,
  withAccountOptions,
  withContentOptions,
} from './content-command.ts';
import { isoTime, timeCell } from './time-text.ts';

const COLUMNS = ['Token', 'Policy', 'Password', 'Shared', 'Path', 'URL'].map((header) => ({ header }));
const TOKEN_ARGUMENT = ['<TOKEN>', 'of a link, as `links list` shows it'] as const;
const PASSWORD = 'password for the link';
/** As in `syncplicity/content/links.ts`, which only commands load that make calls. */
const POLICIES = ['none', 'internal', 'all', 'intended'] as const satisfies readonly LinkPolicy[];

interface ListOptions extends AccountOptions {
  readonly expired?: true;
}

interface SettingOptions extends ContentOptions {
  readonly policy?: LinkPolicy;
  readonly outlookPolicy?: LinkPolicy;
  /** False: take it away. */
  readonly password?: boolean;
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
  withSettings(
    withContentOptions(
      command.command('create').description('make a link for each path and print its URL, one a line'),
    ),
    'who may follow the link (default: intended where users or groups are named, else internal)',
  )
    .argument('<PATH...>', PATH_ARGUMENT[1])
    .action((paths: string[], options: SettingOptions) => create(context, paths, options));
  withAccountOptions(
    command.command('list').description('list your links, or those of a file or folder; at the mountpoint, all'),
  )
    .argument('[PATH]', PATH_ARGUMENT[1])
    .option('--expired', 'those too that have expired')
    .action((path: string | undefined, options: ListOptions) => list(context, path, options));
  withAccountOptions(command.command('show').description('show a link'))
    .argument(...TOKEN_ARGUMENT)
    .action((token: string, options: AccountOptions) => show(context, token, options));
  withSettings(withAccountOptions(command.command('update').description('change a link')), 'who may follow the link')
    .option('--no-password', 'take its password away')
    .argument(...TOKEN_ARGUMENT)
    .action((token: string, options: AccountOptions & SettingOptions) => update(context, token, options));
  withAccountOptions(command.command('delete').description('revoke links'))
    .argument('<TOKEN...>', TOKEN_ARGUMENT[1])
    .action((tokens: string[], options: AccountOptions) => revoke(context, tokens, options));
  return command;
}

function withSettings(command: Command, policy: string): Command {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  return command
    .addOption(new Option('--policy <POLICY>', policy).choices(POLICIES))
    .option('--password', 'protect it with a password: asked for without showing it, or a line of stdin')
    .addOption(new Option('--password-stdin', 'read the password from stdin, a terminal or not').conflicts('password'))
    .addOption(new Option('--expires <DAYS>', 'end it after so many days (0: never)').argParser(parseDays))
    .addOption(new Option('--user <EMAIL>', 'whom it is for (again for more)').argParser(collect))
    .addOption(new Option('--group <GUID>', 'a group it is for (again for more)').argParser(collect))
    .option('--message <TEXT>', 'what its users are told')
    .addOption(new Option('--outlook-policy <POLICY>', "the policy for Outlook's add-in").choices(POLICIES))
    .option('--send-email', 'have Syncplicity mail the link to its users');
}

async function create(context: CliContext, paths: readonly string[], options: SettingOptions): Promise<void> {
  const isIntended = options.user !== undefined || options.group !== undefined;
  const policy = options.policy ?? (isIntended ? 'intended' : 'internal');
  if (policy === 'intended' && !isIntended) throw new UsageError('whom is it intended for? name a --user or --group');
  const settings = { ...(await settingsOf(context, options)), policy };
  await onTargets(context, paths, options, async ({ api, call, moved }, targets) => {
    const { createLinks } = await import('../../syncplicity/content/links.ts');
    const wanted = targets.map((target, index) => ({ ...linked(target), given: paths[index] ?? '' }));
    const json: unknown[] = [];
    try {
      for await (const { made, without } of createLinks(api, wanted, settings, {
        ...call,
        sendsMail: options.sendEmail,
      })) {
        moved();
        for (const { link } of made) {
          if (wantsJson(options)) json.push(linkJson(link, settings.password));
          else context.print(printable(link.url ?? link.landingPageUrl ?? link.token));
        }
        if (without.length === 0) continue;
        context.setExitCode(1);
        if (made.every(({ object }) => object !== undefined)) {
          for (const { given } of without)
            context.warn(`${printable(given)}: Syncplicity made no link, and does not say why`);
        } else {
          const [some, all] = [made.length, countOf(made.length + without.length, 'link')];
          context.warn(`Syncplicity made ${some} of ${all}, and does not say which: see links list`);
        }
      }
    } finally {
      // Those of earlier calls are made, whatever becomes of a later one.
      if (wantsJson(options) && json.length > 0) printJson(context, paths.length > 1 ? json : json[0]);
    }
  });
}

async function list(context: CliContext, path: string | undefined, options: ListOptions): Promise<void> {
  const { expired } = options;
  const print = async ({ api, call }: Service, of: LinkedObject | undefined): Promise<void> => {
    const { listLinks } = await import('../../syncplicity/content/links.ts');
    const links = await listLinks(api, { of, expired }, call);
    if (wantsJson(options))
      printJson(
        context,
        links.map((link) => linkJson(link)),
      );
    else formatTable(COLUMNS, links.map(linkRow)).forEach((line) => context.print(line));
  };
  if (path === undefined) await onAccount(context, options.account, options, (service) => print(service, undefined));
  else if (options.account !== undefined) throw new UsageError('a path and --account exclude each other');
  else
    await onTarget(context, path, options, (service, target) =>
      // The top of a drive has no links of its own: all of them lie below it.
      print(service, target.kind === 'root' ? undefined : target),
    );
}

async function show(context: CliContext, token: string, options: AccountOptions): Promise<void> {
  await onAccount(context, options.account, options, async ({ api, call }) => {
    const { showLink } = await import('../../syncplicity/content/links.ts');
    const link = await showLink(api, token, call);
    if (wantsJson(options)) printJson(context, linkJson(link));
    else formatTable(COLUMNS, [linkRow(link)]).forEach((line) => context.print(line));
  });
}

async function update(context: CliContext, token: string, options: AccountOptions & SettingOptions): Promise<void> {
  const settings = await settingsOf(context, options);
  if (Object.values(settings).every((value) => value === undefined)) throw new UsageError('nothing to change');
  await onAccount(context, options.account, options, async ({ api, call }) => {
    const { showLink, updateLink } = await import('../../syncplicity/content/links.ts');
    await updateLink(api, token, settings, { ...call, sendsMail: options.sendEmail });
    if (wantsJson(options)) {
      printJson(context, linkJson(await showLink(api, token, call), settings.password));
    } else context.print(`link ${printable(token)} is changed`);
  });
}

async function revoke(context: CliContext, tokens: readonly string[], options: AccountOptions): Promise<void> {
  await onAccount(context, options.account, options, async ({ api, call, moved }) => {
    const { deleteLink } = await import('../../syncplicity/content/links.ts');
    for (const token of tokens) {
      await deleteLink(api, token, call);
      moved();
      if (!wantsJson(options)) context.print(`link ${printable(token)} is revoked`);
    }
    if (wantsJson(options)) printJson(context, { deleted: tokens });
  });
}

/** What a link to a path is made for. */
function linked(target: { readonly kind: 'root' } | TargetFolder | TargetFile): LinkedObject {
  if (target.kind === 'root') throw new Error('the whole drive cannot be shared by a link: give a file or folder');
  return target;
}

async function settingsOf({ prompt }: CliContext, options: SettingOptions): Promise<LinkSettings> {
  const { policy, outlookPolicy, expires, message, user, group } = options;
  return {
    policy,
    outlookPolicy,
    password: await passwordOf(prompt, options),
    expiresInDays: expires,
    message,
    users: user,
    groups: group,
  };
}

async function passwordOf(
  prompt: Prompt | undefined,
  { password, passwordStdin }: SettingOptions,
): Promise<string | undefined> {
  if (passwordStdin === true) return readSecretLine(PASSWORD);
  if (password === undefined) return undefined;
  return password ? readSecret(prompt, PASSWORD) : '';
}

function parseDays(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('a number of days is needed');
  return Number(text);
}

function linkRow(link: SharedLink): string[] {
  const { token, policy, hasPassword, shared, path, fileName, url } = link;
  const cells = [token, policy ?? '', hasPassword ? 'yes' : 'no', timeCell(shared), path ?? fileName ?? '', url ?? ''];
  return cells.map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. Its words may repeat the password that was set. */
function linkJson(link: SharedLink, password = ''): Record<string, unknown> {
  return {
    token: link.token,
    url: link.url ?? null,
    landingPage: link.landingPageUrl ?? null,
    syncpoint: link.syncpointId ?? null,
    path: link.path ?? null,
    file: link.fileId ?? null,
    name: link.fileName ?? null,
    policy: link.policy ?? null,
    outlookPolicy: link.outlookPolicy ?? null,
    password: link.hasPassword,
    expiresInDays: link.expiresInDays ?? null,
    expired: link.isExpired,
    shared: link.shared === undefined ? null : isoTime(link.shared),
    uses: link.uses ?? null,
    users: link.users,
    groups: link.groups,
    message: (password === '' ? link.message : link.message?.replaceAll(password, '[secret]')) ?? null,
  };
}
