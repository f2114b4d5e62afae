// One notification on the user's desktop. Source: the Desktop Notifications Specification 1.2; on macOS through osascript. Promises: nothing
// is waited for longer than its limit, no process or connection stays behind, and nothing of a text is in any process list where D-Bus is
// spoken. Must not know what is told, nor why.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Deadline } from '../base/deadline.ts';
import { escapedMarkup } from './safe-text.ts';
import { openSessionBus, type SessionBus } from './session-bus.ts';
import type { Value } from './dbus-wire.ts';

/** What is shown; both texts are plain and on one line. */
export interface Notification {
  readonly title: string;
  readonly text: string;
  /** A name of the icon naming specification. */
  readonly icon: string;
  /** What an earlier one was shown as, which this one takes the place of. */
  readonly replaces?: number | undefined;
}

/** A desktop that starts what shows notifications does so within this time; one that hangs is given up. */
const LIMIT_MS = 10_000;
const APP_NAME = 'syncplicityfs';
const CATEGORY = 'transfer.error';
/** Of low, normal and critical. */
const URGENCY_NORMAL = 1;
const DEFAULT_EXPIRY_MS = -1;

/**
 * Shows a notification. Resolves with what it can be replaced by, 0 where it cannot; with undefined where this user has no session. Rejects
 * where nothing in the session shows it, or with the signal's reason.
 */
export async function showNotification(
  notification: Notification,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<number | undefined> {
  const late = (): Error => new Error(`the desktop did not answer within ${LIMIT_MS / 1000} s`);
  const deadline = new Deadline(LIMIT_MS, late, [signal]);
  try {
    if (process.platform === 'darwin') return await showThroughScript(notification, deadline.signal);
    const bus = await openSessionBus(environment, deadline.signal);
    if (bus === undefined) return undefined;
    try {
      return await notify(bus, notification);
    } finally {
      bus.close();
    }
  } finally {
    deadline.release();
  }
}

async function notify(bus: SessionBus, { title, text, icon, replaces = 0 }: Notification): Promise<number> {
  const [capabilities] = await ask(bus, 'GetCapabilities', '', []);
  const hasMarkup = Array.isArray(capabilities) && capabilities.includes('body-markup');
  const hints: Value = [
    ['urgency', { signature: 'y', value: URGENCY_NORMAL }],
    ['category', { signature: 's', value: CATEGORY }],
  ];
  const body = hasMarkup ? escapedMarkup(text) : text;
  const [id] = await ask(bus, 'Notify', 'susssasa{sv}i', [
    APP_NAME,
    replaces,
    icon,
    title,
    body,
    [],
    hints,
    DEFAULT_EXPIRY_MS,
  ]);
  return typeof id === 'number' ? id : 0;
}

function ask(bus: SessionBus, member: string, signature: string, body: readonly Value[]): Promise<Value[]> {
  return bus.call({
    destination: 'org.freedesktop.Notifications',
    path: '/org/freedesktop/Notifications',
    interface: 'org.freedesktop.Notifications',
    member,
    signature,
    body,
  });
}

/** The texts are arguments of the script, not part of it. */
async function showThroughScript({ title, text }: Notification, signal: AbortSignal): Promise<number> {
  const script = ['on run argv', 'display notification (item 2 of argv) with title (item 1 of argv)', 'end run'];
  const lines = script.flatMap((line) => ['-e', line]);
  await promisify(execFile)('osascript', [...lines, '--', title, text], { signal, killSignal: 'SIGKILL' });
  return 0;
}
