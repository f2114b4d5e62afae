// `syncplicityfs pause` and `resume`: stop sending to Syncplicity and fetching for nobody, and go on. Writing and reading work all the time.
import { Command } from 'commander';
import { askMount } from '../control/methods.ts';
import type { CliContext } from './context.ts';
import { requireServing } from './serving-mount.ts';

/** `syncplicityfs pause MOUNTPOINT`. */
export function pauseCommand(context: CliContext): Command {
  return new Command('pause')
    .description(
      'stop sending changes and fetching what is pinned until resume; reading goes on, and what is written is kept on this machine',
    )
    .argument('<MOUNTPOINT>')
    .action((path: string) => ask(context, path, 'pause'));
}

/** `syncplicityfs resume MOUNTPOINT`. */
export function resumeCommand(context: CliContext): Command {
  return new Command('resume')
    .description('send changes and fetch what is pinned again after pause')
    .argument('<MOUNTPOINT>')
    .action((path: string) => ask(context, path, 'resume'));
}

async function ask(context: CliContext, path: string, method: 'pause' | 'resume'): Promise<void> {
  const { client } = await requireServing(context, path);
  try {
    await askMount(client, method, {});
  } finally {
    client.close();
  }
}
