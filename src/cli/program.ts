// The whole command line as one commander program: the help and the manual page are made from it.
import { Command } from 'commander';
import { connectionsCommand } from './connections.ts';
import type { CliContext } from './context.ts';
import { daemonCommand } from './daemon.ts';
import { emulatorCommand } from './emulator.ts';
import { mountCommand } from './mount.ts';
import { statusCommand } from './status.ts';
import { unmountCommand } from './unmount.ts';

/** A fresh program: commander keeps the values of options it has parsed. */
export function createProgram(context: CliContext, version: string): Command {
  const program = new Command('syncplicityfs')
    .description('Mounts Syncplicity, the enterprise file sync and share service, as a drive.')
    .version(version, '-V, --version')
    .helpOption('-h, --help', 'show help');
  program.addCommand(mountCommand(context));
  program.addCommand(unmountCommand(context));
  program.addCommand(statusCommand(context));
  program.addCommand(connectionsCommand(context));
  program.addCommand(emulatorCommand());
  program.addCommand(daemonCommand(context), { hidden: true });
  return program;
}
