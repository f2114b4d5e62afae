// Mounting as an ordinary user: fusermount3 (set-uid root) mounts and passes the device back over a socket, which takes
// recvmsg(2) with SCM_RIGHTS. Node has no such call, so koffi makes it; it is loaded only here.
import { access } from 'node:fs/promises';
import { errno } from '../../../base/errno.ts';
import { closeDescriptor } from '../../../base/descriptor.ts';
import { FsError } from '../../../fs-ops/operations.ts';
import { deviceMissing } from '../../mounting/device.ts';
import type { MountOptions } from '../../mounting/options.ts';
import { ALLOW_OTHER_REFUSED, FUSERMOUNT_MISSING, detach, fusermount, reasonIn } from '../../mounting/unmount.ts';
import { userOptions } from './option-strings.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** The first descriptor a child inherits behind its standard three. */
const INHERITED_FD = 3;

/** Mounts on an existing directory and returns the device's descriptor. Throws FsError. */
export async function mountAsUser(mountpoint: string, options: MountOptions): Promise<number> {
  await access('/dev/fuse').catch((error: unknown) => {
    throw deviceMissing(error);
  });
  const sockets = await loadSockets();
  const [ours, theirs] = sockets.pair();
  try {
    const result = await fusermount(['-o', userOptions(options), '--', mountpoint], {
      inherit: [theirs],
      env: { _FUSE_COMMFD: String(INHERITED_FD) },
    });
    if (result.kind === 'missing') throw new FsError(errno.ENOENT, FUSERMOUNT_MISSING);
    if (result.kind === 'timeout')
      throw new FsError(errno.EIO, `${mountpoint} could not be mounted: the mount program hangs`);
    if (result.code !== 0) throw explain(mountpoint, result.message);
    try {
      return sockets.receiveDescriptor(ours);
    } catch (error) {
      await detach(mountpoint, { lazy: true });
      throw error;
    }
  } finally {
    await closeDescriptor(ours);
    await closeDescriptor(theirs);
  }
}

function explain(mountpoint: string, message: string): FsError {
  const reason = reasonIn(message);
  if (/user_allow_other/.test(message)) {
    return new FsError(errno.EPERM, ALLOW_OTHER_REFUSED);
  }
  if (/\/dev\/fuse/.test(message)) {
    return new FsError(
      errno.EACCES,
      `/dev/fuse cannot be opened (${reason}): root can allow it with "chmod 666 /dev/fuse"`,
    );
  }
  if (/permission denied|no write access|not owned|operation not permitted/i.test(message)) {
    return new FsError(errno.EACCES, `no permission to mount on ${mountpoint}: ${reason}`);
  }
  return new FsError(errno.EIO, `${mountpoint} could not be mounted: ${reason}`);
}

interface Sockets {
  /** Two connected sockets, closed on exec. */
  pair(): [number, number];
  /** The descriptor waiting in a socket. */
  receiveDescriptor(socket: number): number;
}

async function loadSockets(): Promise<Sockets> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const iovec = koffi.struct({ iov_base: 'void *', iov_len: 'size_t' });
  const msghdr = koffi.struct({
    msg_name: 'void *',
    msg_namelen: 'uint32_t',
    msg_iov: koffi.pointer(iovec),
    msg_iovlen: 'size_t',
    msg_control: 'void *',
    msg_controllen: 'size_t',
    msg_flags: 'int',
  });
  const socketpair = libc.func('int socketpair(int domain, int type, int protocol, void *pair)');
  const recvmsg = libc.func('recvmsg', 'long', ['int', koffi.inout(koffi.pointer(msghdr)), 'int']);
  const wordBytes = koffi.sizeof('size_t');
  const failed = (call: string): FsError => new FsError(errno.EIO, `${call} failed with errno ${koffi.errno()}`);
  return {
    pair() {
      const pair = new Int32Array(2);
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) !== 0) throw failed('socketpair');
      return [pair[0] as number, pair[1] as number];
    },
    receiveDescriptor(socket) {
      const content = Buffer.alloc(8);
      // struct cmsghdr { size_t len; int level; int type; } and the descriptor.
      const control = Buffer.alloc(wordBytes + 8 + 8);
      const message = {
        msg_name: null,
        msg_namelen: 0,
        msg_iov: [{ iov_base: content, iov_len: content.length }],
        msg_iovlen: 1,
        msg_control: control,
        msg_controllen: control.length,
        msg_flags: 0,
      };
      const received = Number(recvmsg(socket, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
      if (received < 0) throw failed('recvmsg');
      if (control.readInt32LE(wordBytes) !== SOL_SOCKET || control.readInt32LE(wordBytes + 4) !== SCM_RIGHTS) {
        throw new FsError(errno.EPROTO, 'fusermount3 passed no descriptor back');
      }
      return control.readInt32LE(wordBytes + 8);
    },
  };
}
