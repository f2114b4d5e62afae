// Makes a generation's file safe against power loss, with its name. Knows no content.
import type { Generation } from './generation.ts';
import type { StagedFiles } from './staged-files.ts';

/** Resolves when the bytes that the file has now are safe, and the name that they are found under. Rejects with StagingError. */
export async function secure(generation: Generation, files: StagedFiles): Promise<void> {
  await Promise.all([secureBytes(generation, files), files.syncNames([generation.id])]);
}

/** The bytes alone: one sync serves all who ask while nothing is written. */
export async function secureBytes(generation: Generation, files: StagedFiles): Promise<void> {
  if (!generation.unsynced) return generation.syncing;
  generation.unsynced = false;
  generation.syncing = files.sync(generation.id);
  try {
    await generation.syncing;
  } catch (error) {
    generation.unsynced = true;
    throw error;
  }
}
