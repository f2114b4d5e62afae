#!/usr/bin/env python3
"""System calls in a directory given as argument, and what came of them: results, errnos, contents, sizes, link counts, what times
changed. Prints nothing that two file systems may differ in, such as inode numbers, so that its output on two of them can be compared."""
import ctypes, errno, fcntl, itertools, mmap, os, stat, sys, time

libc = ctypes.CDLL(None, use_errno=True)
# System calls that are not compared.
lacking = os.environ.get("WITHOUT", "").split()
AT_FDCWD = -100
NOREPLACE, EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16


def say(what, result):
    print(f"{what}: {result}")


def attempt(what, call, *args, **kwargs):
    """Calls, and says what came of it."""
    try:
        result = call(*args, **kwargs)
    except OSError as error:
        say(what, errno.errorcode.get(error.errno, error.errno))
        return None
    say(what, "ok" if result is None else result)
    return result


def quietly(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except OSError as error:
        return errno.errorcode.get(error.errno, error.errno)


def renameat2(source, target, flags):
    if libc.renameat2(AT_FDCWD, source.encode(), AT_FDCWD, target.encode(), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def fallocate(descriptor, mode, offset, length):
    if libc.fallocate(descriptor, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def write_file(path, content=b"content"):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, content)
    os.close(descriptor)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def kind(path):
    """What is there, with content."""
    found = quietly(os.lstat, path)
    if isinstance(found, str):
        return found
    if stat.S_ISDIR(found.st_mode):
        return "directory [" + " ".join(f"{name}" for name in sorted(os.listdir(path))) + "]"
    return f"file {oct(found.st_mode & 0o7777)} {found.st_size} {found.st_nlink} {read_file(path)[:40]!r}"


def tick():
    """Lets the clocks of all file systems go on, the coarsest of which counts jiffies."""
    time.sleep(0.02)


def changed(path, call, *args):
    """Which times of an object a call changes."""
    about = os.fstat if isinstance(path, int) else os.stat
    before = about(path)
    tick()
    result = quietly(call, *args)
    after = about(path)
    names = [name for name in ("mtime", "ctime") if getattr(before, f"st_{name}_ns") < getattr(after, f"st_{name}_ns")]
    back = [name for name in ("mtime", "ctime") if getattr(before, f"st_{name}_ns") > getattr(after, f"st_{name}_ns")]
    failed = f" {result}" if isinstance(result, str) else ""
    return f"{' '.join(names) or 'none'}{' back: ' + ' '.join(back) if back else ''}{failed}"


def open_flags():
    """Every mix of open(2)'s flags, on what is there and what is not, and what the descriptor then can do."""
    bits = {"CREAT": os.O_CREAT, "EXCL": os.O_EXCL, "TRUNC": os.O_TRUNC, "APPEND": os.O_APPEND}
    for access, mode in (("RDONLY", os.O_RDONLY), ("WRONLY", os.O_WRONLY), ("RDWR", os.O_RDWR)):
        for size in range(len(bits) + 1):
            for names in itertools.combinations(bits, size):
                flags = mode
                for name in names:
                    flags |= bits[name]
                for there in ("file", "nothing", "directory"):
                    if there == "nothing" and access == "RDONLY" and "TRUNC" in names and "CREAT" not in names:
                        continue
                    path = "target"
                    if there == "file":
                        write_file(path)
                    elif there == "directory":
                        os.mkdir(path)
                    what = f"open {access} {' '.join(names)} on {there}"
                    descriptor = quietly(os.open, path, flags, 0o640)
                    if isinstance(descriptor, int):
                        written = quietly(os.write, descriptor, b"xyz") if there != "directory" else "-"
                        read = quietly(os.pread, descriptor, 100, 0) if there != "directory" else "-"
                        at = os.lseek(descriptor, 0, os.SEEK_CUR) if there != "directory" else "-"
                        os.close(descriptor)
                        say(what, f"write {written} read {read!r} at {at} then {kind(path)}")
                    else:
                        say(what, f"{descriptor} then {kind(path)}")
                    if os.path.isdir(path):
                        os.rmdir(path)
                    elif os.path.exists(path):
                        os.unlink(path)


def lookups():
    write_file("file")
    os.mkdir("directory")
    for path in ("none", "file/x", "none/x", "file/", "directory/", "directory/.", "directory/..", "", "x" * 256, "x" * 255):
        say(f"stat {path[:20]!r}{len(path)}", quietly(lambda: stat.S_IFMT(os.stat(path).st_mode)))
    say("long path", quietly(os.stat, "directory/../" * 400))
    for flags in ("O_DIRECTORY", "O_NOFOLLOW", "O_PATH"):
        for path in ("file", "directory"):
            descriptor = quietly(os.open, path, os.O_RDONLY | getattr(os, flags))
            say(f"open {flags} {path}", "ok" if isinstance(descriptor, int) else descriptor)
            if isinstance(descriptor, int):
                os.close(descriptor)
    for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK):
        say(f"access {mode}", [os.access("file", mode), os.access("directory", mode), os.access("none", mode)])
    say("namemax", os.statvfs(".").f_namemax)


def making():
    write_file("file")
    os.mkdir("directory")
    for path in ("file", "directory", "none/x", "file/x", "x" * 256, "", ".", "..", "directory/.", "new", "slash/"):
        attempt(f"mkdir {path[:12]!r}", os.mkdir, path)
    for path in ("file", "directory", "none/x", "x" * 256, "node", "slash2/"):
        attempt(f"mknod {path[:12]!r}", os.mknod, path, 0o644 | stat.S_IFREG)
    for path in ("file", "directory", "none", "none/x", "file/x", "file/", "x" * 256, "", ".", ".."):
        attempt(f"rmdir {path[:12]!r}", os.rmdir, path)
    for path in ("node", "new", "none", "none/x", "file/x", "file/", "x" * 256, "", "."):
        attempt(f"unlink {path[:12]!r}", os.unlink, path)
    say("left", sorted(os.listdir(".")))
    os.mkdir("full")
    write_file("full/x")
    attempt("rmdir full", os.rmdir, "full")
    longest = "ü" * 127 + "x"
    write_file(longest)
    say("longest", kind(longest))
    for umask, mode in ((0o022, 0o777), (0o077, 0o666), (0o000, 0o1777)):
        before = os.umask(umask)
        os.mkdir(f"d{umask}", mode)
        os.close(os.open(f"f{umask}", os.O_CREAT | os.O_WRONLY, mode & 0o777))
        os.umask(before)
        say(f"umask {oct(umask)}", [oct(os.stat(f"{name}{umask}").st_mode) for name in "df"])


def renames():
    def make(path, what):
        if what in ("file", "other"):
            write_file(path, what.encode())
        elif what == "empty":
            os.mkdir(path)
        elif what == "full":
            os.mkdir(path)
            write_file(f"{path}/inside", path.encode())

    def clear(path):
        if os.path.isdir(path):
            for name in os.listdir(path):
                os.unlink(f"{path}/{name}")
            os.rmdir(path)
        elif os.path.exists(path):
            os.unlink(path)

    for flags in (0, NOREPLACE, EXCHANGE, NOREPLACE | EXCHANGE) if "renameat2" not in lacking else (0,):
        for source in ("nothing", "file", "empty", "full"):
            for target in ("nothing", "other", "empty", "full"):
                make("source", source)
                make("target", target)
                inode = os.stat("source").st_ino if source != "nothing" else None
                call = os.rename if flags == 0 else lambda a, b: renameat2(a, b, flags)
                result = quietly(call, "source", "target")
                same = inode is not None and os.path.exists("target") and os.stat("target").st_ino == inode
                say(f"rename {flags} {source} to {target}", f"{result} same inode {same}; {kind('source')}; {kind('target')}")
                clear("source")
                clear("target")
    os.mkdir("d")
    os.mkdir("d/e")
    write_file("f")
    for source, target in (
        ("d", "d/e/x"), ("d", "d"), ("d", "d/e"), ("d/e", "d"), ("f", "f"), ("f", "none/x"), ("f", "f/x"), ("f", "g/"), ("d", "h/"),
        ("h", "d"), ("f", "x" * 256), ("x" * 256, "f"), (".", "x"), ("d", "."), ("f", "d/f"), ("d/f", "f"),
    ):
        say(f"rename {source[:8]} {target[:8]}", quietly(os.rename, source, target))
    for source, target in (("d", "d/e"), ("d/e", "d"), ("d", "d/e/x"), ("f", "d/e")) if "renameat2" not in lacking else ():
        say(f"exchange {source} {target}", quietly(renameat2, source, target, EXCHANGE))
    say("left", [kind(path) for path in ("d", "d/e", "f")])


def content():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT, 0o644)
    say("pwrite", os.pwrite(descriptor, b"hello", 10))
    say("sparse", (os.fstat(descriptor).st_size, os.pread(descriptor, 100, 0)))
    say("read behind the end", os.pread(descriptor, 10, 1000))
    for length in (12, 3, 8, 0, 5):
        os.ftruncate(descriptor, length)
        say(f"ftruncate {length}", os.pread(descriptor, 100, 0))
    attempt("ftruncate -1", os.ftruncate, descriptor, -1)
    os.pwrite(descriptor, b"0123456789", 0)
    os.close(descriptor)
    for length in (4, 9):
        os.truncate("a", length)
        say(f"truncate {length}", kind("a"))
    attempt("truncate none", os.truncate, "none", 0)
    attempt("truncate directory", os.truncate, ".", 0)
    reader = os.open("a", os.O_RDONLY)
    attempt("write to a reader", os.write, reader, b"x")
    attempt("ftruncate a reader", os.ftruncate, reader, 0)
    os.truncate("a", 6)
    say("truncated elsewhere", os.pread(reader, 100, 0))
    os.close(reader)
    writer = os.open("a", os.O_WRONLY)
    attempt("read from a writer", os.read, writer, 10)
    os.close(writer)
    first, second = (os.open("a", os.O_WRONLY | os.O_APPEND) for _ in range(2))
    os.write(first, b"one")
    os.write(second, b"two")
    os.pwrite(first, b"three", 0)
    say("appended", (kind("a"), os.lseek(first, 0, os.SEEK_CUR), os.lseek(second, 0, os.SEEK_CUR)))
    duplicate = os.dup(first)
    os.close(first)
    os.write(duplicate, b"four")
    say("duplicate", kind("a"))
    os.close(duplicate)
    os.close(second)
    large = os.open("large", os.O_RDWR | os.O_CREAT)
    os.pwrite(large, b"end", 6 * 2**30)
    write_file("dense", b"x" * 5000)
    dense = os.open("dense", os.O_RDONLY)
    seeks = ((0, os.SEEK_DATA), (4999, os.SEEK_DATA), (0, os.SEEK_HOLE), (5000, os.SEEK_DATA), (5000, os.SEEK_HOLE))
    say("data and holes", [quietly(os.lseek, dense, at, how) for at, how in seeks])
    os.close(dense)
    say("6 GiB", (os.fstat(large).st_size, os.pread(large, 6, 6 * 2**30 - 3), os.lseek(large, -1, os.SEEK_END)))
    os.ftruncate(large, 3)
    say("cut", kind("large"))
    os.close(large)
    block = bytes(range(256)) * 4096
    with open("blocks", "wb") as file:
        for _ in range(4):
            file.write(block)
    say("blocks", (os.stat("blocks").st_size, read_file("blocks") == block * 4))
    copied = os.open("copied", os.O_RDWR | os.O_CREAT)
    source = os.open("blocks", os.O_RDONLY)
    say("copy_file_range", os.copy_file_range(source, copied, 100_000, 10, 20))
    say("copied", os.pread(copied, 100_020, 0) == bytes(20) + (block * 4)[10:100_010])
    for number in (source, copied):
        os.close(number)


def allocated():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"0123456789" * 1000)
    for mode, offset, length in (
        (0, 0, 100), (0, 9_000, 2_000), (KEEP_SIZE, 0, 50_000), (PUNCH_HOLE | KEEP_SIZE, 4_000, 5_000), (PUNCH_HOLE, 0, 10),
        (PUNCH_HOLE | KEEP_SIZE, 50_000, 10), (ZERO_RANGE, 10_000, 5_000), (ZERO_RANGE | KEEP_SIZE, 14_000, 5_000), (0, 0, 0), (0, -1, 5),
    ):
        result = quietly(fallocate, descriptor, mode, offset, length)
        read = os.pread(descriptor, 100_000, 0)
        say(f"fallocate {mode} {offset} {length}", (result, os.fstat(descriptor).st_size, len(read), read.count(0)))
    os.close(descriptor)
    say("then", (os.stat("a").st_size, read_file("a").count(0)))
    reader = os.open("a", os.O_RDONLY)
    attempt("fallocate a reader", fallocate, reader, 0, 0, 100_000)
    os.close(reader)


def unlinked():
    write_file("a", b"first")
    write_file("b", b"second")
    descriptor, over = os.open("a", os.O_RDWR), os.open("b", os.O_RDWR)
    say("ctime", changed(descriptor, os.unlink, "a"))
    os.pwrite(descriptor, b"F", 0)
    found = os.fstat(descriptor)
    say("unlinked", (found.st_nlink, found.st_size, os.pread(descriptor, 10, 0), quietly(os.stat, "a")))
    os.fchmod(descriptor, 0o600)
    os.ftruncate(descriptor, 3)
    os.fsync(descriptor)
    found = os.fstat(descriptor)
    say("changed", (found.st_nlink, found.st_size, oct(found.st_mode)))
    write_file("a", b"another")
    say("two of a name", (os.pread(descriptor, 10, 0), kind("a")))
    os.rename("a", "b")
    found = os.fstat(over)
    say("renamed over", (found.st_nlink, os.pread(over, 10, 0), kind("b")))
    os.close(descriptor)
    os.close(over)
    os.mkdir("d")
    directory = os.open("d", os.O_RDONLY)
    os.rmdir("d")
    say("removed directory", (quietly(os.listdir, directory), quietly(lambda: stat.S_IFMT(os.fstat(directory).st_mode))))
    say("made in it", quietly(os.mkdir, "x", dir_fd=directory))
    os.close(directory)


def open_while_renamed():
    os.makedirs("d/e")
    descriptor = os.open("d/e/a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"one")
    directory = os.open("d/e", os.O_RDONLY)
    os.rename("d/e/a", "d/e/b")
    os.rename("d", "f")
    os.write(descriptor, b"two")
    say("written", (kind("f/e/b"), quietly(os.stat, "d")))
    say("through the directory", sorted(os.listdir(directory)))
    os.close(os.open("c", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
    say("made", sorted(os.listdir("f/e")))
    os.close(directory)
    os.close(descriptor)
    here = os.getcwd()
    os.chdir("f")
    os.rename("../f", "../g")
    say("cwd", (os.path.basename(os.getcwd()), sorted(os.listdir("."))))
    os.chdir(here)


def mapped():
    descriptor = os.open("a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"x" * 10_000)
    with mmap.mmap(descriptor, 10_000) as memory:
        os.close(descriptor)
        memory[5:10] = b"hello"
        memory[9_990:] = b"0123456789"
        say("seen by read", read_file("a")[:12])
        memory.flush()
        descriptor = os.open("a", os.O_RDWR)
        os.pwrite(descriptor, b"WRITTEN", 0)
        say("seen by the map", memory[:12])
        os.close(descriptor)
    say("then", (os.stat("a").st_size, read_file("a")[:12], read_file("a")[-12:]))
    reader = os.open("a", os.O_RDONLY)
    attempt("map a reader for writing", lambda: mmap.mmap(reader, 10, mmap.MAP_SHARED, mmap.PROT_WRITE))
    os.close(reader)


def times():
    write_file("a")
    os.mkdir("d")
    descriptor = os.open("a", os.O_RDWR)
    say("write", changed("a", os.write, descriptor, b"x"))
    say("close", changed("a", os.close, descriptor))
    say("read", changed("a", read_file, "a"))
    say("chmod", changed("a", os.chmod, "a", 0o600))
    say("rename", changed("a", lambda: os.rename("a", "b") or os.rename("b", "a")))
    say("truncate", changed("a", os.truncate, "a", 2))
    say("open and truncate", changed("a", lambda: os.close(os.open("a", os.O_WRONLY | os.O_TRUNC))))
    say("again", changed("a", lambda: os.close(os.open("a", os.O_WRONLY | os.O_TRUNC))))
    say("utime", changed("a", os.utime, "a"))
    say("chown", changed("a", os.chown, "a", os.geteuid(), os.getegid()))
    for what, call in (
        ("create", lambda: write_file("d/a")), ("overwrite", lambda: write_file("d/a", b"other")), ("mkdir", lambda: os.mkdir("d/e")),
        ("rename", lambda: os.rename("d/a", "d/b")), ("away", lambda: os.rename("d/b", "b")), ("back", lambda: os.rename("b", "d/b")),
        ("over", lambda: write_file("x") or os.rename("x", "d/b")), ("unlink", lambda: os.unlink("d/b")), ("rmdir", lambda: os.rmdir("d/e")),
        ("failed mkdir", lambda: os.mkdir("d/e/f")), ("chmod", lambda: os.chmod("d", 0o700)),
    ):
        say(f"directory {what}", changed("d", call))
    moments = ((1_234_567_890, 123_456_789), (0, 0), (2**33, 999_999_999), (-1, 5))
    for seconds, nanoseconds in moments:
        moment = seconds * 10**9 + nanoseconds
        os.utime("a", ns=(moment, moment + 10**9))
        found = os.stat("a")
        say(f"set {seconds}", (found.st_atime_ns - moment, found.st_mtime_ns - moment))
        os.utime("d", ns=(moment, moment))
        say(f"set directory {seconds}", os.stat("d").st_mtime_ns - moment)
    for closing in ("before", "after"):
        descriptor = os.open("c", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.write(descriptor, b"x")
        if closing == "before":
            os.utime(descriptor, ns=(5 * 10**9, 7 * 10**9))
        os.close(descriptor)
        if closing == "after":
            os.utime("c", ns=(5 * 10**9, 7 * 10**9))
        say(f"utime {closing} close", os.stat("c").st_mtime_ns)
    os.close(os.open("c", os.O_RDWR))
    say("opened for writing only", os.stat("c").st_mtime_ns)
    descriptor = os.open("c", os.O_RDWR)
    before = os.stat("c")
    os.write(descriptor, b"y")
    os.fsync(descriptor)
    at = os.stat("c").st_mtime_ns
    tick()
    os.close(descriptor)
    after = os.stat("c")
    say("fsync and close", (before.st_mtime_ns < at == after.st_mtime_ns, abs(after.st_mtime - time.time()) < 60))
    attempt("utime none", os.utime, "none")
    attempt("chmod none", os.chmod, "none", 0o600)


def bits():
    write_file("a", b"#!/bin/sh\necho ran\n")
    for mode in (0o755, 0o000, 0o7777, 0o4755, 0o2755, 0o644):
        os.chmod("a", mode)
        say(f"chmod {oct(mode)}", oct(os.stat("a").st_mode))
    os.chmod("a", 0o755)
    say("run", os.popen("./a").read())
    os.chmod("a", 0o644)
    say("not run", quietly(os.execv, "./a", ["a"]))
    os.mkdir("d")
    os.chmod("d", 0o1770)
    say("directory", oct(os.stat("d").st_mode))
    for name in (b"user.test", b"user.syncplicity.none"):
        say("getxattr", quietly(os.getxattr, "a", name))


def listing():
    os.mkdir("d")
    names = [f"file {number}" for number in range(1000)]
    for name in names:
        os.close(os.open(f"d/{name}", os.O_CREAT | os.O_WRONLY))
    say("all", sorted(os.listdir("d")) == sorted(names))
    seen = []
    with os.scandir("d") as entries:
        for entry in entries:
            seen.append(entry.name)
            if len(seen) % 3 == 0:
                os.unlink(f"d/{entry.name}")
    say("removed while listed", (sorted(seen) == sorted(names), len(os.listdir("d"))))
    for name in os.listdir("d"):
        os.unlink(f"d/{name}")
    say("empty", (os.listdir("d"), quietly(os.rmdir, "d")))
    for name in ("ä", "a\u0308", "名", "with space in it", "tab\there", "new\nline", ".hidden", "-dash", "100%", "a%20b", "*?", "'\"", "~"):
        folded = quietly(write_file, name)
        say(ascii(name), "ok" if folded is None and kind(name).startswith("file") else folded)
        quietly(os.unlink, name)
    attempt("listdir of a file", lambda: write_file("f") or os.listdir("f"))
    attempt("listdir of nothing", os.listdir, "none")


def locks():
    write_file("a")
    descriptor, other = os.open("a", os.O_RDWR), os.open("a", os.O_RDWR)
    say("flock", quietly(fcntl.flock, descriptor, fcntl.LOCK_EX))
    say("second flock", quietly(fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB))
    os.close(descriptor)
    say("after close", quietly(fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB))
    say("lockf", quietly(fcntl.lockf, other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10))
    os.close(other)
    directory = os.open(".", os.O_RDONLY)
    say("fsync of a directory", quietly(os.fsync, directory))
    say("fdatasync", quietly(lambda: os.fdatasync(os.open("a", os.O_RDWR))))


def main():
    base = sys.argv[1]
    wanted = sys.argv[2:]
    cases = (open_flags, lookups, making, renames, content, allocated, unlinked, open_while_renamed, mapped, times, bits, listing, locks)
    os.umask(0o022)
    for case in cases:
        if wanted and case.__name__ not in wanted:
            continue
        print(f"== {case.__name__}")
        directory = os.path.join(base, case.__name__)
        os.mkdir(directory)
        os.chdir(directory)
        case()
        sys.stdout.flush()


main()
