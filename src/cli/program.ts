// The whole command line as one commander program: the help and the manual page are made from it.
import { Command } from 'commander';
import { completeWordsCommand, completionCommand } from './completion.ts';
import { connectionsCommand } from './connections.ts';
import { participantsCommand } from './content/participants.ts';
import { syncpointsCommand } from './content/syncpoints.ts';
import { endpointsCommand } from './content/endpoints.ts';
import { machinesCommand } from './content/machines.ts';
import { rolsCommand } from './content/rols.ts';
import { trashCommand } from './content/trash.ts';
import { filesCommand } from './content/files.ts';
import { foldersCommand } from './content/folders.ts';
import { linksCommand } from './content/links.ts';
import { usersCommand } from './content/users.ts';
import { thumbnailsCommand } from './content/thumbnails.ts';
import { versionsCommand } from './content/versions.ts';
import type { CliContext } from './context.ts';
import { daemonCommand } from './daemon.ts';
import { dashboardCommand } from './dashboard.ts';
import { doctorCommand } from './doctor.ts';
import { emulatorCommand } from './emulator.ts';
import { flushCommand } from './flush.ts';
import { manPage } from './man-page.ts';
import { mountCommand } from './mount.ts';
import { freeCommand, pinCommand, unpinCommand } from './pin.ts';
import { refreshCommand } from './refresh.ts';
import { serviceCommand } from './service.ts';
import { statusCommand } from './status.ts';
import { pauseCommand, resumeCommand } from './transfers.ts';
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
  program.addCommand(dashboardCommand(context));
  program.addCommand(flushCommand(context));
  program.addCommand(pauseCommand(context));
  program.addCommand(resumeCommand(context));
  program.addCommand(pinCommand(context));
  program.addCommand(unpinCommand(context));
  program.addCommand(freeCommand(context));
  program.addCommand(refreshCommand(context));
  program.addCommand(foldersCommand(context));
  program.addCommand(filesCommand(context));
  program.addCommand(versionsCommand(context));
  program.addCommand(trashCommand(context));
  program.addCommand(linksCommand(context));
  program.addCommand(syncpointsCommand(context));
  program.addCommand(participantsCommand(context));
  program.addCommand(usersCommand(context));
  program.addCommand(endpointsCommand(context));
  program.addCommand(machinesCommand(context));
  program.addCommand(rolsCommand(context));
  program.addCommand(thumbnailsCommand(context));
  program.addCommand(connectionsCommand(context));
  program.addCommand(serviceCommand(context));
  program.addCommand(emulatorCommand());
  program.addCommand(doctorCommand(context));
  program.addCommand(completionCommand(context));
  program.addCommand(daemonCommand(context), { hidden: true });
  program.addCommand(
    completeWordsCommand(context, () => program),
    { hidden: true },
  );
  // For packaging: man/syncplicityfs.1 is what this prints.
  const print = new Command('man-page').action(() => context.print(manPage(program, version).trimEnd()));
  program.addCommand(print, { hidden: true });
  return program;
}
