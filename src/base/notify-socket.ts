// Telling the service manager how far we are: sd_notify(3)'s protocol, one datagram a message to the socket that it names. Node has no
// datagrams of this kind, so the C library sends them, loaded when it is needed. Without a service manager nothing is told.
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
/** `sun_path` of unix(7). */
const PATH_BYTES_MAX = 108;

/** The variable in which systemd names its socket. */
export const notifyVariable = 'NOTIFY_SOCKET';

/** Sends a message like "READY=1" where the environment names a socket for it. Rejects where that cannot be reached. */
export async function notifyServiceManager(message: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const name = environment[notifyVariable];
  if (name === undefined || name === '' || process.platform !== 'linux') return;
  const address = addressOf(name);
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const errorName = (): string => {
    const code = koffi.errno();
    return Object.entries(koffi.os.errno).find(([, number]) => number === code)?.[0] ?? `errno ${code}`;
  };
  const socket = library.func('int socket(int domain, int type, int protocol)') as unknown as Socket;
  const sendto = library.func(
    'intptr_t sendto(int fd, const void *data, size_t length, int flags, const void *address, unsigned int addressLength)',
  ) as unknown as SendTo;
  const close = library.func('int close(int fd)') as unknown as (fd: number) => number;
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Error(`no socket for the service manager: ${errorName()}`);
  try {
    const data = Buffer.from(message);
    if (sendto(fd, data, data.length, 0, address, address.length) < 0) {
      throw new Error(`the service manager does not listen at ${notifyVariable}: ${errorName()}`);
    }
  } finally {
    close(fd);
  }
}

type Socket = (domain: number, type: number, protocol: number) => number;
type SendTo = (
  fd: number,
  data: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  addressLength: number,
) => number;

/** A sockaddr_un: the family in the machine's byte order, then the path; "@" stands for the zero byte of an abstract one. */
function addressOf(name: string): Uint8Array {
  const path = Buffer.from(name);
  if (path[0] !== 0x2f && path[0] !== 0x40) throw new Error(`${notifyVariable} names no socket of this machine`);
  if (path.length >= PATH_BYTES_MAX) throw new Error(`${notifyVariable} is too long for a socket`);
  const isAbstract = path[0] === 0x40;
  if (isAbstract) path[0] = 0;
  const family = Buffer.from(new Uint16Array([AF_UNIX]).buffer);
  return Buffer.concat(isAbstract ? [family, path] : [family, path, Buffer.alloc(1)]);
}
