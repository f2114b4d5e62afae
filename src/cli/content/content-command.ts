// What all commands that make single calls have in common: their options, their time limit, and what a refusal of the service reads like.
import { type Command, Option } from 'commander';
import { Deadline } from '../../base/deadline.ts';
import { formatDuration, parseDuration } from '../../base/quantities.ts';
import type { RemoteTarget } from '../../mount/remote-path.ts';
import { type CallOptions, RemoteError } from '../../remote-drive.ts';
import type { ContentApi } from '../../syncplicity/content-api.ts';
import type { CliContext } from '../context.ts';
import { type JsonOptions, withJson } from '../json-option.ts';
import { printable } from '../printable.ts';
import { type CallingOptions, type LookAgain, withAccount, withTargets } from '../remote-target.ts';
import { SERVICE_ADVICE } from '../service-advice.ts';

/** Signing in, finding a path and a call, each with a retry. */
const DEFAULT_TIMEOUT = '1m';

export interface ContentOptions extends JsonOptions {
  /** Milliseconds. */
  readonly timeout: number;
  readonly caFile?: string;
}

/** A service that signed in, and how calls of it are to be made. */
export interface Service {
  readonly api: ContentApi;
  readonly call: CallOptions;
  /** Content moves: the time limit is how long nothing may. */
  readonly moved: () => void;
}

/** Adds the options of {@link ContentOptions} to a command. */
export function withContentOptions(command: Command): Command {
  return withJson(command)
    .addOption(
      new Option('--timeout <TIME>', 'how long to wait for the service')
        .argParser(parseDuration)
        .default(parseDuration(DEFAULT_TIMEOUT), DEFAULT_TIMEOUT),
    )
    .option('--ca-file <FILE>', 'PEM file with further certificate authorities to trust (default: those of the mount)');
}

/** The options of commands about an account. */
export interface AccountOptions extends ContentOptions {
  readonly account?: string;
}

/** Adds the options of {@link AccountOptions} to a command. */
export function withAccountOptions(command: Command): Command {
  return withContentOptions(command).option(
    '--account <ACCOUNT>',
    'of this connection, or of that behind a path in a mounted drive (default: the only connection)',
  );
}

/** The argument of commands about one object. */
export const PATH_ARGUMENT = ['<PATH>', 'a path in a mounted drive, or CONNECTION:/Syncpoint/path'] as const;

/** Runs `work` with what a path is at the service. Rejects with the cause, and what to do about it. */
export async function onTarget(
  context: CliContext,
  text: string,
  options: ContentOptions,
  work: (service: Service, target: RemoteTarget, lookAgain: LookAgain) => Promise<void>,
): Promise<void> {
  await onTargets(context, [text], options, async (service, targets, lookAgain) => {
    for (const target of targets) await work(service, target, lookAgain);
  });
}

/** As {@link onTarget} with several paths of one account. */
export async function onTargets(
  context: CliContext,
  texts: readonly string[],
  options: ContentOptions,
  work: (service: Service, targets: readonly RemoteTarget[], lookAgain: LookAgain) => Promise<void>,
): Promise<void> {
  await explained(options, (calling, moved) =>
    withTargets(context, texts, calling, (api, targets, lookAgain) =>
      work({ api, call: calling.call, moved }, targets, lookAgain),
    ),
  );
}

/** As {@link onTarget} with an account: a connection, one that a path leads to, or the only one. */
export async function onAccount(
  context: CliContext,
  text: string | undefined,
  options: ContentOptions,
  work: (service: Service) => Promise<void>,
): Promise<void> {
  await explained(options, (calling, moved) =>
    withAccount(context, text, calling, (api) => work({ api, call: calling.call, moved })),
  );
}

/** Runs `work` within the time limit; what the service refuses comes with what to do about it. */
export async function explained(
  { timeout, caFile }: ContentOptions,
  work: (calling: CallingOptions, moved: () => void) => Promise<void>,
): Promise<void> {
  let hasMoved = false;
  const isProlonged = (): boolean => {
    const prolonged = hasMoved;
    hasMoved = false;
    return prolonged;
  };
  const slow = (): Error => new RemoteError('unavailable', `no answer within ${formatDuration(timeout)}`);
  const deadline = new Deadline(timeout, slow, [], isProlonged);
  try {
    await work({ call: { signal: deadline.signal }, caFile }, () => {
      hasMoved = true;
    });
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    throw new Error(`${printable(error.message)}\n${SERVICE_ADVICE[error.kind]}`, { cause: error });
  } finally {
    deadline.release();
  }
}
