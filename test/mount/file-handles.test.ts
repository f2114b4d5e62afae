// Handles of files as an NFS server keeps them: they lead to the same file when the kernel has forgotten it, even after a remount, and never
// to another one.
import { readFile, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fuseExists, isRoot, lacks } from '../machine.ts';
import { Drive, run } from './drive.ts';

/** Prints the handle of a path: its type and bytes. */
const NAME_TO_HANDLE = `
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0), 136)
if libc.name_to_handle_at(-100, sys.argv[1].encode(), handle, ctypes.byref(ctypes.c_int()), 0): sys.exit(ctypes.get_errno())
print(handle.raw[:8 + struct.unpack_from('I', handle.raw)[0]].hex())
`;
/** Prints the path and the start of the content of what a handle leads to, or the errno. */
const OPEN_BY_HANDLE = `
import ctypes, errno, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
mount = os.open(sys.argv[1], os.O_RDONLY)
opened = libc.open_by_handle_at(mount, ctypes.create_string_buffer(bytes.fromhex(sys.argv[2])), os.O_RDONLY)
if opened < 0: print(errno.errorcode[ctypes.get_errno()])
elif stat.S_ISDIR(os.fstat(opened).st_mode): print(os.readlink(f'/proc/self/fd/{opened}')[len(sys.argv[1]):], sorted(os.listdir(opened)))
else: print(os.read(opened, 100).decode())
`;

let drive: Drive;
let folder: string;

beforeEach(async () => {
  drive = new Drive();
  const { id, rootFolderId } = drive.store.addSyncpoint('Projects');
  const one = drive.store.addFolder(id, rootFolderId, 'one');
  drive.store.addFile(id, one.id, 'a', Buffer.from('this is a'));
  drive.store.addFile(id, one.id, 'b', Buffer.from('this is b'));
  folder = join(drive.mountpoint, 'Projects', 'one');
  await drive.serve();
  await drive.mount();
});

afterEach(async () => {
  await drive.stop();
});

async function handleOf(path: string): Promise<string> {
  const { code, stdout, stderr } = await run('python3', ['-c', NAME_TO_HANDLE, path]);
  if (code !== 0) throw new Error(`name_to_handle_at of ${path}: ${code} ${stderr}`);
  return stdout.trim();
}

async function opened(handle: string): Promise<string> {
  return (await run('python3', ['-c', OPEN_BY_HANDLE, drive.mountpoint, handle])).stdout.trim();
}

// Opening by handle is for root.
describe.skipIf(!fuseExists || !isRoot || lacks('python3'))('a handle of a file', () => {
  it('leads to it after a remount, wherever it was moved', async () => {
    const [a, b, directory, root] = await Promise.all(
      [join(folder, 'a'), join(folder, 'b'), folder, drive.mountpoint].map(handleOf),
    );
    await rename(join(folder, 'a'), join(folder, '..', 'moved'));
    await unlink(join(folder, 'b'));
    await drive.unmount();
    await drive.mount();
    expect(await opened(a ?? '')).toBe('this is a');
    expect(await opened(b ?? '')).toBe('ESTALE');
    expect(await opened(directory ?? '')).toBe('/Projects/one []');
    expect(await opened(root ?? '')).toBe("['Projects']");
    expect(await readdir(join(folder, '..'))).toEqual(['moved', 'one']);
  });

  it('of another mount leads to nothing outside of a mounted folder', async () => {
    const [a, above] = await Promise.all([join(folder, 'a'), join(folder, '..')].map(handleOf));
    await drive.unmount();
    await drive.succeed(['mount', 'test:/Projects/one', drive.mountpoint]);
    expect(await readFile(join(drive.mountpoint, 'b'), 'utf8')).toBe('this is b');
    expect(await opened(a ?? '')).toBe('this is a');
    expect(await opened(above ?? '')).toBe('ESTALE');
  });
});
