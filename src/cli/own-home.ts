// Whose home this is. mount.fuse with setuid=USER, as fstab writes it, changes the user and leaves root's HOME behind.
import { accessSync, constants, statSync } from 'node:fs';
import { userInfo } from 'node:os';

/** The environment with a HOME that is this user's: one of somebody else, where nothing can be written, is replaced. */
export function withOwnHome(
  environment: NodeJS.ProcessEnv,
  user: () => { readonly uid: number; readonly homedir: string } = userInfo,
  isUsable: (home: string) => boolean = isWritable,
): NodeJS.ProcessEnv {
  const home = environment['HOME'] ?? '';
  if (home === '' || isUsable(home)) return environment;
  const { uid, homedir } = user();
  return statSync(home).uid === uid ? environment : { ...environment, HOME: homedir };
}

/** True also where it does not exist yet: then it is somebody's wish. */
function isWritable(home: string): boolean {
  try {
    accessSync(home, constants.W_OK);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'EACCES' && code !== 'EROFS';
  }
}
