// The numbers of the kernel's FUSE interface, as include/uapi/linux/fuse.h names them. Nothing but numbers: what to do with
// them is decided elsewhere.

export const FUSE_KERNEL_VERSION = 7;
/** The newest minor version whose structures the codec knows. Later ones only add flags and opcodes we do not ask for. */
export const NEWEST_MINOR = 38;
/** 7.23 brought the INIT reply its present size; older kernels (before Linux 3.15) are refused. */
export const OLDEST_MINOR = 23;
/** FUSE_NOTIFY_INC_EPOCH exists from here on. It is offered without a flag, so the kernel's own minor tells. */
export const EPOCH_MINOR = 44;

export const opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

const names = new Map<number, string>(Object.entries(opcode).map(([name, code]) => [code, name]));

/** The opcode's name in the kernel's header, or "OPCODE_n". */
export function opcodeName(code: number): string {
  return names.get(code) ?? `OPCODE_${code}`;
}

/** INIT flags 0..31. */
export const initFlag = {
  ASYNC_READ: 1 << 0,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  WRITEBACK_CACHE: 1 << 16,
  PARALLEL_DIROPS: 1 << 18,
  ABORT_ERROR: 1 << 21,
  MAX_PAGES: 1 << 22,
  EXPLICIT_INVAL_DATA: 1 << 25,
  HANDLE_KILLPRIV_V2: 1 << 28,
  INIT_EXT: 1 << 30,
} as const;

/** INIT flags 32..63, as they stand in the field `flags2`. */
export const initFlag2 = {
  HAS_EXPIRE_ONLY: 1 << (35 - 32),
} as const;

/** fuse_setattr_in.valid */
export const setattrValid = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  KILL_SUIDGID: 1 << 11,
} as const;

/** fuse_open_in.open_flags and fuse_create_in.open_flags: a truncation that must clear set-user-id and set-group-id bits. */
export const OPEN_KILL_SUIDGID = 1 << 0;

/** fuse_write_in.write_flags: the writer may not keep set-user-id and set-group-id bits. */
export const WRITE_KILL_SUIDGID = 1 << 2;

/** fuse_rename2_in.flags, as renameat2(2)'s. */
export const renameFlag = {
  NOREPLACE: 1 << 0,
  EXCHANGE: 1 << 1,
  WHITEOUT: 1 << 2,
} as const;

/** fuse_getattr_in.getattr_flags */
export const GETATTR_FH = 1 << 0;

/** fuse_open_out.open_flags */
export const openFlag = {
  KEEP_CACHE: 1 << 1,
  CACHE_DIR: 1 << 3,
  /** No FLUSH at close(2); heeded from Linux 5.16 on, ignored before. */
  NOFLUSH: 1 << 5,
} as const;

export const notifyCode = {
  INVAL_INODE: 2,
  INVAL_ENTRY: 3,
  STORE: 4,
  DELETE: 6,
  INC_EPOCH: 8,
} as const;

/** fuse_notify_inval_entry_out.flags: expire the name, but leave it in place for those who stand in it. */
export const EXPIRE_ONLY = 1 << 0;

/** Sizes of structures in bytes. */
export const size = {
  IN_HEADER: 40,
  OUT_HEADER: 16,
  ATTR: 88,
  ATTR_OUT: 104,
  ENTRY_OUT: 128,
  OPEN_OUT: 16,
  STATFS_OUT: 80,
  GETXATTR_OUT: 8,
  INIT_OUT: 64,
  DIRENT: 24,
  DIRENTPLUS: 152,
  CREATE_IN: 16,
  MKNOD_IN: 16,
  MKDIR_IN: 8,
  RENAME_IN: 8,
  RENAME2_IN: 16,
  WRITE_IN: 40,
  WRITE_OUT: 8,
  /** Without SETXATTR_EXT, which is not asked for. */
  SETXATTR_IN: 8,
} as const;

/** The longest name the kernel takes from a directory reply; one longer makes it refuse the whole reply. */
export const NAME_BYTES_MAX = 1024;

export const PAGE_BYTES = 4096;

/** st_mode's file types, and d_type for each. */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const DT_DIR = 4;
export const DT_REG = 8;
