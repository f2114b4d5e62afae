// `syncplicityfs status`: what the mounts of this user are doing, once or again every second. With --retry, --discard or --save
// it decides what becomes of changes that failed.
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { isAbort } from '../base/abort.ts';
import { UsageError } from '../base/usage-error.ts';
import { connectControl } from '../control/client.ts';
import { askMount } from '../control/methods.ts';
import { type ListedMount, listMounts } from '../control/mounts.ts';
import type { MountStatus } from '../control/status.ts';
import { type CliContext, printJson } from './context.ts';
import { decide, type Decision } from './kept-changes.ts';
import { isMounted, ownDeadMounts } from './left-mounts.ts';
import { deadText, namedMountpoint, notServedText } from './serving-mount.ts';
import { SHOWN_ITEMS, statusLines } from './status-text.ts';

/** As often as people look. */
const WATCH_INTERVAL_MS = 1_000;
/** Gathered from memory; past this a daemon counts as hung. */
const STATUS_TIMEOUT_MS = 5_000;
/** What scrolled out of the screen is the user's. */
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

interface StatusOptions {
  readonly json?: true;
  readonly watch?: true;
  readonly all?: true;
  readonly retry?: string;
  readonly discard?: string;
  readonly save?: readonly string[];
}

/** What asking one mount gave. */
type Answer = { readonly status: MountStatus } | { readonly problem: string };

export function statusCommand(context: CliContext): Command {
  return new Command('status')
    .description('show mounts, what is pending, caches and the budget of calls')
    .argument('[MOUNTPOINT]', 'only this mount')
    .option('--json', 'print JSON: an array with one object a mount')
    .option('--watch', 'show it again every second until Ctrl-C')
    .option('--all', `show all entries of the lists, not only the first ${SHOWN_ITEMS}`)
    .addOption(deciding('--retry <PATH>', 'try a failed change again'))
    .addOption(deciding('--discard <PATH>', 'give a failed change or an unfinished file up, with its content'))
    .addOption(deciding('--save <PATH DEST...>', 'copy the content of a failed or unfinished file to DEST'))
    .addHelpText('after', '\nPATH is as status shows it, or below the mountpoint; a directory means all below it.')
    .action((path: string | undefined, options: StatusOptions) => {
      const decision = decisionOf(options);
      if (decision !== undefined) return decide(context, path, decision);
      return options.watch === true ? watch(context, path, options) : show(context, path, options, '');
    });
}

function deciding(flags: string, description: string): Option {
  const others = ['retry', 'discard', 'save', 'json', 'watch', 'all'];
  const option = new Option(flags, description);
  return option.conflicts(others.filter((name) => name !== option.attributeName()));
}

function decisionOf({ retry, discard, save }: StatusOptions): Decision | undefined {
  if (retry !== undefined) return { kind: 'retry', path: retry };
  if (discard !== undefined) return { kind: 'discard', path: discard };
  if (save === undefined) return undefined;
  const [path, to, ...more] = save;
  if (path === undefined || to === undefined || more.length > 0) {
    throw new UsageError(
      '--save takes PATH and DEST',
      'a mountpoint stands before it: status MOUNTPOINT --save PATH DEST',
    );
  }
  return { kind: 'save', path, to };
}

async function watch(context: CliContext, path: string | undefined, options: StatusOptions): Promise<void> {
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort());
  const before = process.stdout.isTTY && options.json !== true ? CLEAR_SCREEN : '';
  try {
    while (!interruption.signal.aborted) {
      await show(context, path, options, before);
      await sleep(WATCH_INTERVAL_MS, undefined, { signal: interruption.signal });
    }
  } catch (error) {
    if (!isAbort(error, interruption.signal)) throw error;
  }
}

async function show(
  context: CliContext,
  path: string | undefined,
  options: StatusOptions,
  before: string,
): Promise<void> {
  const mounts = await wanted(context, path);
  const itemsMax = options.json === true || options.all === true ? Infinity : SHOWN_ITEMS;
  const answers = await Promise.all(mounts.map((mount) => ask(context, mount, itemsMax)));
  const statuses = answers.flatMap((answer) => ('status' in answer ? [answer.status] : []));
  const problems = answers.flatMap((answer) => ('problem' in answer ? [answer.problem] : []));
  if (path === undefined) {
    const served = mounts.map(({ mountpoint }) => mountpoint);
    problems.push(...(await ownDeadMounts(context, served)).map(deadText));
  }
  if (options.json === true) printJson(context, statuses);
  else if (answers.length === 0 && problems.length === 0) context.print(`${before}nothing is mounted`);
  else {
    const texts = statuses.map(async (status) => {
      const detached = !(await isMounted(status.mountpoint));
      return statusLines(status, Date.now(), { detached, itemsMax }).join('\n');
    });
    const blocks = await Promise.all(texts);
    if (blocks.length > 0) context.print(before + blocks.join('\n\n'));
  }
  for (const problem of problems) context.warn(problem);
  if (problems.length > 0) context.setExitCode(1);
}

/** The mounts to ask. Throws when the named one has no daemon. */
async function wanted(context: CliContext, path: string | undefined): Promise<ListedMount[]> {
  const mounts = await listMounts(context.directories.runtime);
  if (path === undefined) return mounts;
  const mountpoint = await namedMountpoint(context, path);
  const mount = mounts.find((candidate) => candidate.mountpoint === mountpoint);
  if (mount !== undefined) return [mount];
  throw new Error(await notServedText(context, mountpoint));
}

async function ask(context: CliContext, mount: ListedMount, itemsMax: number): Promise<Answer> {
  const hung = `the daemon of ${mount.mountpoint} (process ${mount.pid}) does not answer`;
  if (!mount.responding) return { problem: hung };
  const client = await connectControl({
    runtimeDirectories: context.directories.runtime,
    mountpoint: mount.mountpoint,
  });
  if (client === undefined) return { problem: `${mount.mountpoint} was unmounted just now` };
  try {
    const wanted = itemsMax === Infinity ? {} : { itemsMax };
    return { status: await askMount(client, 'status', wanted, { timeoutMs: STATUS_TIMEOUT_MS }) };
  } catch (error) {
    if (isAbort(error)) return { problem: hung };
    return { problem: `${mount.mountpoint}: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    client.close();
  }
}
