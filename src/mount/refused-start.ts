// A mount that a service manager starts, at the begin of a session for example, and that fails because its sign-in is refused: nobody sees its
// error, only a drive that is not there. So the desktop is told, once until a mount succeeds. Part of the composition root.
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createLog } from '../base/log.ts';
import { notifyVariable } from '../base/notify-socket.ts';
import type { MountConfig } from '../config.ts';
import { showNotification } from '../desktop/notification.ts';
import { RemoteError } from '../remote-drive.ts';
import { noticeOf } from './notices.ts';

const log = createLog('notifying');

type Start = Pick<MountConfig, 'source' | 'connectionName' | 'mountpoint' | 'stateDirectory' | 'notifications'>;

/** Tells of a start that failed, where it failed for that. Resolves whatever comes of it: the error itself is told to whoever waits. */
export async function tellRefusedStart(error: unknown, config: Start, environment: NodeJS.ProcessEnv): Promise<void> {
  const { connectionName, mountpoint, notifications } = config;
  const mark = markOf(config);
  if (mark === undefined || !(error instanceof RemoteError) || error.kind !== 'unauthenticated') return;
  // Whoever mounts on a terminal reads the error there.
  if (notifications === 'off' || !environment[notifyVariable]) return;
  try {
    // The service manager tries again and again.
    if (await exists(mark)) return;
    const latest = { name: connectionName, detail: error.message };
    const notice = noticeOf({ cause: 'sign-in', latest, count: 1, mountpoint });
    const id = await showNotification(notice, environment, new AbortController().signal);
    if (id === undefined) return;
    await mkdir(dirname(mark), { recursive: true, mode: 0o700 });
    await writeFile(mark, '', { mode: 0o600 });
  } catch (cause) {
    log('a refused start is not told: %s', cause);
  }
}

/** A start succeeded: the next refusal is news. */
export async function forgetRefusedStart(config: Start): Promise<void> {
  const mark = markOf(config);
  try {
    if (mark !== undefined) await rm(mark, { force: true });
  } catch (error) {
    // No reason to fail a mount for.
    log('a refused start is not forgotten: %s', error);
  }
}

/** The demo's sign-in is nobody's. */
function markOf({ source, stateDirectory }: Start): string | undefined {
  return source.kind === 'demo' ? undefined : join(stateDirectory, 'refused-starts', source.connectionId);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
