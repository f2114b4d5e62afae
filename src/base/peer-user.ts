// Who is at the other end of a socket of this machine (SO_PEERCRED of unix(7)). Node does not tell, so the C library does, loaded when it is
// needed. Of a listener it is the user who began to listen, whatever the socket's name says: names in shared places change hands.
import type { Socket } from 'node:net';

const SOL_SOCKET = 1;
/** Of asm/socket.h, which has another one for POWER. */
const SO_PEERCRED = process.arch === 'ppc64' ? 21 : 17;
/** `struct ucred`: pid, uid, gid. */
const CREDENTIALS_BYTES = 12;
const UID_AT = 4;

type GetSocketOption = (fd: number, level: number, name: number, value: Uint8Array, length: Uint32Array) => number;

/** The user; undefined where the system does not tell. */
export async function peerUser(socket: Socket): Promise<number | undefined> {
  // Node keeps the descriptor in what it calls an internal property, which every version has had.
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  const fd = handle?.fd;
  if (process.platform !== 'linux' || fd === undefined || fd < 0) return undefined;
  const { default: koffi } = await import('koffi');
  const getsockopt = koffi
    .load(null)
    .func(
      'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    ) as unknown as GetSocketOption;
  const value = Buffer.alloc(CREDENTIALS_BYTES);
  const length = Uint32Array.of(CREDENTIALS_BYTES);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0 || length[0] !== CREDENTIALS_BYTES) return undefined;
  return new Uint32Array(Uint8Array.from(value).buffer)[UID_AT / Uint32Array.BYTES_PER_ELEMENT];
}
