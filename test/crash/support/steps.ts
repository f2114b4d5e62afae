// The steps that scenarios are made of: what programs do in the drive, and what somebody else does at the service right after it.
import type { FolderId, Timestamp } from '../../../src/remote-drive.ts';
import type { MemoryDrive } from '../../fakes/memory-drive.ts';
import { O_RDWR, O_TRUNC, O_WRONLY, type Program } from '../../fs-ops/support/program.ts';
import type { Scenario } from './scenario.ts';

export type Step = Scenario['steps'][number];

export const make =
  (path: string): Step =>
  (program) =>
    program.mknod(path);

export const makeFolder =
  (path: string): Step =>
  (program) =>
    program.mkdir(path);

/** All of a file, which is made where it is missing. */
export const write =
  (path: string, content: string): Step =>
  (program) =>
    program.writeFile(path, content);

/** A part of a file that is there. */
export const writeAt =
  (path: string, offsetBytes: number, content: string): Step =>
  async (program) => {
    const file = await program.open(path, O_RDWR);
    await program.pwrite(file, offsetBytes, content);
    await program.close(file);
  };

export const cutToNothing =
  (path: string): Step =>
  async (program) =>
    program.close(await program.open(path, O_WRONLY | O_TRUNC));

export const rename =
  (from: string, to: string): Step =>
  (program) =>
    program.rename(from, to);

export const exchange =
  (one: string, other: string): Step =>
  (program) =>
    program.rename(one, other, { exchange: true });

export const removeFile =
  (path: string): Step =>
  (program) =>
    program.unlink(path);

export const removeFolder =
  (path: string): Step =>
  (program) =>
    program.rmdir(path);

/** A file, or a folder with all in it. */
export const removeAll =
  (path: string): Step =>
  (program) =>
    removeTree(program, path);

export const setModified =
  (path: string, modified: Timestamp): Step =>
  (program) =>
    program.setattr(path, { modified });

/** Several in one: nothing is stored in between. */
export const together =
  (...steps: readonly Step[]): Step =>
  async (program, service) => {
    for (const step of steps) await step(program, service);
  };

/** What somebody else does at the service, in the folder that programs know as `P`. */
export const elsewhere =
  (theirs: (memory: MemoryDrive, folder: FolderId) => void): Step =>
  (_program, { memory }) => {
    const [syncpoint] = memory.syncpointList;
    if (syncpoint === undefined) throw new Error('the service has no syncpoint');
    theirs(memory, syncpoint.rootFolderId);
    return Promise.resolve();
  };

async function removeTree(program: Program, path: string): Promise<void> {
  const { type } = await program.stat(path);
  if (type !== 'directory') return program.unlink(path);
  for (const name of await program.readdir(path)) await removeTree(program, `${path}/${name}`);
  return program.rmdir(path);
}
