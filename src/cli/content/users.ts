// `syncplicityfs users ...`: who is behind the GUIDs and addresses of other commands.
import { Command } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import { RemoteError } from '../../remote-drive.ts';
import type { KnownUser } from '../../syncplicity/content/users-pii.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { formatTable } from '../table.ts';
import { type AccountOptions, onAccount, type Service, withAccountOptions } from './content-command.ts';
import { isGuid } from './sharees.ts';

const COLUMNS = ['Id', 'Address', 'Name', 'Region'].map((header) => ({ header }));

/** What became of one question. */
interface Answer {
  readonly asked: string;
  readonly user: KnownUser | undefined;
  readonly error: string | undefined;
}

/** The command with its subcommands. */
export function usersCommand(context: CliContext): Command {
  const command = new Command('users').description('who is who at Syncplicity');
  withAccountOptions(
    command
      .command('show')
      .description('find names and addresses by GUIDs, also of other regions, and GUIDs by addresses'),
  )
    .argument('<WHO...>', 'GUIDs of users you share with, or as an administrator addresses of your company')
    .action((who: string[], options: AccountOptions) => show(context, who, options));
  return command;
}

async function show(context: CliContext, who: readonly string[], options: AccountOptions): Promise<void> {
  for (const one of who) {
    if (!isGuid(one) && !/^[^\s@]+@[^\s@]+$/.test(one)) {
      throw new UsageError(`"${printable(one)}" is neither a GUID nor an e-mail address`);
    }
  }
  await onAccount(context, options.account, options, async (service) => {
    const answers = [...(await byId(service, who.filter(isGuid))), ...(await byAddress(service, who))];
    if (wantsJson(options)) printJson(context, answers.map(answerJson));
    else {
      const found = answers.flatMap(({ user }) => user ?? []);
      if (found.length > 0) formatTable(COLUMNS, found.map(userRow)).forEach((line) => context.print(line));
    }
    for (const { asked, error } of answers.filter((one) => one.error !== undefined)) {
      context.warn(`${printable(asked)}: ${printable(error ?? '')}`);
      context.setExitCode(1);
    }
  });
}

async function byId({ api, call }: Service, ids: readonly string[]): Promise<Answer[]> {
  if (ids.length === 0) return [];
  const { usersById } = await import('../../syncplicity/content/users-pii.ts');
  const { users, failures } = await usersById(api.gateway, api.regions, ids, call);
  const [failure] = failures;
  return ids.map((asked) => {
    const user = users.find(({ id }) => id === asked.toLowerCase());
    const missing =
      failure?.message ?? 'Syncplicity tells nobody of it: you share nothing with them, or there is no such user';
    return { asked, user, error: user === undefined ? missing : undefined };
  });
}

async function byAddress({ api, call, moved }: Service, who: readonly string[]): Promise<Answer[]> {
  const { userByAddress } = await import('../../syncplicity/content/users.ts');
  const answers: Answer[] = [];
  for (const asked of who.filter((one) => !isGuid(one))) {
    try {
      answers.push({ asked, user: await userByAddress(api.gateway, asked, call), error: undefined });
    } catch (error) {
      if (!(error instanceof RemoteError) || !['forbidden', 'not-found', 'invalid'].includes(error.kind)) throw error;
      answers.push({ asked, user: undefined, error: error.message });
    }
    moved();
  }
  return answers;
}

function userRow({ id, email, name, rolId }: KnownUser): string[] {
  return [id, email, name ?? '', rolId === undefined ? '' : String(rolId)].map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function answerJson({ asked, user, error }: Answer): Record<string, unknown> {
  return {
    asked,
    id: user?.id ?? null,
    email: user?.email ?? null,
    name: user?.name ?? null,
    region: user?.rolId ?? null,
    error: error ?? null,
  };
}
