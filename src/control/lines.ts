// JSON lines over a stream socket, with a limit on the line: what both ends of the control protocol share.
// A request is {"id", "method", "params"}; its response {"id", "result"} or {"id", "error": {"message"}}.
import type { Socket } from 'node:net';

/** A request is a method and a few options; whoever sends more is not our client. */
export const REQUEST_LIMIT_BYTES = 64 * 1024;
/** A status lists every pending change; a hundred thousand of them fit, a runaway peer does not fill memory. */
export const RESPONSE_LIMIT_BYTES = 32 * 1024 * 1024;

export interface LineEvents {
  /** One complete line, without its newline, as parsed JSON. */
  onValue(value: unknown): void;
  /** The peer sent what is no JSON line, or too long a one. The socket is of no use any more. */
  onGarbage(reason: string): void;
}

/** Splits what the socket receives into JSON values. After onGarbage nothing more is reported. */
export function readJsonLines(socket: Socket, limitBytes: number, events: LineEvents): void {
  let chunks: Buffer[] = [];
  let heldBytes = 0;
  let ended = false;
  const garbage = (reason: string): void => {
    ended = true;
    chunks = [];
    events.onGarbage(reason);
  };
  socket.on('data', (data: Buffer) => {
    let rest = data;
    while (!ended) {
      const newline = rest.indexOf(0x0a);
      const part = newline < 0 ? rest : rest.subarray(0, newline);
      heldBytes += part.length;
      if (heldBytes > limitBytes) {
        garbage(`a line longer than ${limitBytes} bytes`);
        return;
      }
      chunks.push(part);
      if (newline < 0) return;
      const line = Buffer.concat(chunks).toString('utf8');
      chunks = [];
      heldBytes = 0;
      rest = rest.subarray(newline + 1);
      let value: unknown;
      try {
        value = JSON.parse(line);
      } catch {
        garbage('a line that is not JSON');
        return;
      }
      events.onValue(value);
    }
  });
}

/** Sends one value as a line. False when the socket is closed already. */
export function writeJsonLine(socket: Socket, value: unknown): boolean {
  if (socket.destroyed || !socket.writable) return false;
  socket.write(`${JSON.stringify(value)}\n`);
  return true;
}

/** A plain object, or undefined for anything else. */
export function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
