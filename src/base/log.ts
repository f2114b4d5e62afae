// One logger a room, through the `debug` package: DEBUG=syncplicityfs:* shows all. Never hand a secret to it.
import createDebug from 'debug';

/** A printf-like logger. `enabled` tells whether building an expensive argument is worth it. */
export type Log = createDebug.Debugger;

/** The logger `syncplicityfs:ROOM`. */
export function createLog(room: string): Log {
  return createDebug(`syncplicityfs:${room}`);
}
