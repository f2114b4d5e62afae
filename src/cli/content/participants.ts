// `syncplicityfs participants ...`: with whom a syncpoint is shared.
import { Command, Option } from 'commander';
import { UsageError } from '../../base/usage-error.ts';
import { type CliContext, printJson } from '../context.ts';
import { wantsJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { formatTable } from '../table.ts';
import type { Participant, ParticipantPermission } from '../../syncplicity/content/participants.ts';
import { isCaller } from './caller.ts';
import { type ContentOptions, onTarget, PATH_ARGUMENT, type Service, withContentOptions } from './content-command.ts';
import {
  additions,
  carriedOut,
  labelOf,
  type ParticipantChange,
  removals,
  replacements,
} from './participant-changes.ts';
import { namedSharees, type NamedSharee, parsePermission, WHO_ARGUMENT } from './sharees.ts';
import { syncpointAt } from './target-syncpoint.ts';

const COLUMNS = ['Participant', 'Name', 'Kind', 'Permission', 'Invited by'].map((header) => ({ header }));
/** What a new participant may do where nothing is said. */
const LEAST: ParticipantPermission = 'read-only';

interface ChangeOptions extends ContentOptions {
  readonly dryRun?: true;
}

interface ShareOptions extends ChangeOptions {
  readonly permission?: ParticipantPermission;
  /** False with `--no-email`. */
  readonly email?: boolean;
  readonly note?: string;
}

/** The command with its subcommands. */
export function participantsCommand(context: CliContext): Command {
  const command = new Command('participants').description('with whom a syncpoint is shared');
  withContentOptions(command.command('list').description('list who takes part in a syncpoint'))
    .argument(...PATH_ARGUMENT)
    .action((path: string, options: ContentOptions) => list(context, path, options));
  withShareOptions(
    command.command('add').description('share a syncpoint with others, or change what they may do'),
  ).action((path: string, who: string[], options: ShareOptions) => add(context, path, who, options));
  withChangeOptions(command.command('remove').description('end the participation of others, or your own')).action(
    (path: string, who: string[], options: ChangeOptions) => remove(context, path, who, options),
  );
  withShareOptions(
    command
      .command('set')
      .description('share a syncpoint with just these: who is not named is removed, but for the owner and yourself'),
  ).action((path: string, who: string[], options: ShareOptions) => set(context, path, who, options));
  return command;
}

function withChangeOptions(command: Command): Command {
  return withContentOptions(command)
    .argument(...PATH_ARGUMENT)
    .argument(...WHO_ARGUMENT)
    .option('-n, --dry-run', 'print what would change and change nothing');
}

function withShareOptions(command: Command): Command {
  const permission = 'what those may do who are named without =PERMISSION: read or write';
  return withChangeOptions(command)
    .addOption(
      new Option(
        '-p, --permission <PERMISSION>',
        `${permission} (default: what they may do already; read for new ones)`,
      ).argParser(parsePermission),
    )
    .option('--no-email', 'send no mail to those who are invited')
    .option('--note <TEXT>', 'a message to those who are invited');
}

async function list(context: CliContext, path: string, options: ContentOptions): Promise<void> {
  await onTarget(context, path, options, async (service, target) => {
    const syncpoint = await syncpointAt(service, target, path);
    const participants = await participantsAt(context, service, syncpoint.id);
    if (wantsJson(options)) printJson(context, participants.map(participantJson));
    else formatTable(COLUMNS, participants.map(participantRow)).forEach((line) => context.print(line));
  });
}

async function add(context: CliContext, path: string, who: readonly string[], options: ShareOptions): Promise<void> {
  const named = await namedSharees(who);
  await change(context, path, options, (participants) => additions(participants, named, permissionsOf(options)));
}

async function remove(
  context: CliContext,
  path: string,
  who: readonly string[],
  options: ChangeOptions,
): Promise<void> {
  const named = await namedSharees(who);
  refusePermissions(named);
  await change(context, path, options, (participants) => removals(participants, named));
}

async function set(context: CliContext, path: string, who: readonly string[], options: ShareOptions): Promise<void> {
  const named = await namedSharees(who);
  await change(context, path, options, (participants, isSelf) =>
    replacements(participants, named, permissionsOf(options), isSelf),
  );
}

function permissionsOf({ permission }: ShareOptions): Parameters<typeof additions>[2] {
  return { given: permission, others: LEAST };
}

function refusePermissions(named: readonly NamedSharee[]): void {
  const given = named.find(({ permission }) => permission !== undefined);
  if (given === undefined) return;
  throw new UsageError(`${printable(given.text)} is to be removed: a permission has no meaning there`);
}

/** Does what `plan` says of the present participants. */
async function change(
  context: CliContext,
  path: string,
  options: ShareOptions,
  plan: (participants: readonly Participant[], isSelf: (one: Participant) => boolean) => ParticipantChange[],
): Promise<void> {
  await onTarget(context, path, options, async (service, target) => {
    const syncpoint = await syncpointAt(service, target, path);
    const participants = await participantsAt(context, service, syncpoint.id);
    const changes = plan(participants, (one) => isCaller(service, one));
    const done: Record<string, unknown>[] = [];
    const tell = (one: ParticipantChange, error?: string): void => {
      done.push(changeJson(one, error));
      if (error !== undefined) {
        context.warn(`${printable(one.label)}: ${error}`);
        context.setExitCode(1);
      } else if (!wantsJson(options)) context.print(changeLine(one, options.dryRun === true));
    };
    try {
      if (options.dryRun === true) for (const one of changes) tell(one);
      else {
        const mail = { isSent: options.email !== false, note: options.note };
        for await (const one of carriedOut(service, syncpoint.id, changes, mail)) tell(one.change, one.error);
      }
    } finally {
      // What was done before a failure is done.
      if (wantsJson(options)) printJson(context, done);
    }
  });
}

/** Everybody who takes part, those of other regions with what these tell. */
async function participantsAt(
  context: CliContext,
  { api, call }: Service,
  syncpointId: Parameters<typeof carriedOut>[1],
): Promise<Participant[]> {
  const { participantsOf } = await import('../../syncplicity/content/participants.ts');
  const participants = await participantsOf(api.gateway, syncpointId, call);
  const unnamed = participants.flatMap((one) => (one.kind === 'user' && one.email === undefined ? (one.id ?? []) : []));
  if (unnamed.length === 0) return participants;
  const { usersById } = await import('../../syncplicity/content/users-pii.ts');
  const { users, failures } = await usersById(api.gateway, api.regions, unnamed, call);
  for (const failure of failures) context.warn(printable(failure.message));
  return participants.map((one) => {
    const known = one.email === undefined ? users.find(({ id }) => id === one.id) : undefined;
    return known === undefined ? one : { ...one, email: known.email, name: known.name };
  });
}

function participantRow(one: Participant): string[] {
  const kind = one.isOwner ? 'owner' : one.kind;
  return [labelOf(one), one.name ?? '', kind, one.permission, one.inviter ?? ''].map(printable);
}

/** Keys that scripts may rely on; what the service does not tell is null. */
function participantJson(one: Participant): Record<string, unknown> {
  return {
    kind: one.kind,
    id: one.id ?? null,
    email: one.email ?? null,
    name: one.name ?? null,
    permission: one.permission,
    owner: one.isOwner,
    explicit: one.isExplicit,
    inviter: one.inviter ?? null,
    region: one.rolId ?? null,
  };
}

function changeJson(
  { kind, label, change: what, permission }: ParticipantChange,
  error: string | undefined,
): Record<string, unknown> {
  return { kind, participant: label, change: what, permission: permission ?? null, error: error ?? null };
}

function changeLine({ label, change: what, permission }: ParticipantChange, isDry: boolean): string {
  const may = permission === 'read-write' ? 'write' : 'read';
  const words = {
    added: isDry ? `would be added, may ${may}` : `is added, may ${may}`,
    changed: isDry ? `would be allowed to ${may}` : `may ${may} now`,
    removed: isDry ? 'would be removed' : 'is removed',
    unchanged: permission === undefined ? 'takes no part' : `may ${may} already`,
  };
  return `${printable(label)} ${words[what]}`;
}
