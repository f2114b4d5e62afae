#!/usr/bin/env python3
"""What programs do to save a document, call by call: each pattern is a function that saves `data` as `path`.

Usage: save-patterns.py PATTERN PATH TEXT
"""
import fcntl
import os
import sys
import tempfile


def put(path, data, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o666, sync=True):
    descriptor = os.open(path, flags, mode)
    os.write(descriptor, data)
    if sync:
        os.fsync(descriptor)
    os.close(descriptor)


def beside(path, name):
    return os.path.join(os.path.dirname(path), name)


def libreoffice(path, data):
    """A lock file, a lock on the document, a temporary file that replaces it, and the lock file removed."""
    name = os.path.basename(path)
    lock = beside(path, f".~lock.{name}#")
    put(lock, b",user,host,01.01.2026 00:00,file:///;", sync=False)
    document = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.lockf(document, fcntl.LOCK_EX | fcntl.LOCK_NB)
    temporary = beside(path, "lu4711abc.tmp")
    put(temporary, data, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.chmod(temporary, os.fstat(document).st_mode & 0o777)
    os.rename(temporary, path)
    fcntl.lockf(document, fcntl.LOCK_UN)
    os.close(document)
    assert open(lock, "rb").read().startswith(b",user")
    os.unlink(lock)


def gnome(path, data):
    """GIO's replace: .goutputstream-XXXXXX, with and without a backup."""
    temporary = beside(path, ".goutputstream-A1B2C3")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    if os.path.exists(path):
        original = os.stat(path)
        os.fchmod(descriptor, original.st_mode & 0o7777)
        assert original.st_uid == os.fstat(descriptor).st_uid
    os.write(descriptor, data)
    os.fsync(descriptor)
    if os.path.exists(path):
        backup = path + "~"
        if os.path.exists(backup):
            os.unlink(backup)
        try:
            os.link(path, backup)
        except PermissionError:
            os.rename(path, backup)
    os.rename(temporary, path)
    os.close(descriptor)


def qt(path, data):
    """QSaveFile: a temporary file of a random name, fsync, rename."""
    descriptor, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", dir=os.path.dirname(path))
    os.write(descriptor, data)
    os.fchmod(descriptor, 0o644)
    os.fdatasync(descriptor)
    os.close(descriptor)
    os.rename(temporary, path)


def word(path, data):
    """An owner file, the new document under a temporary name, the old one moved aside, then removed."""
    name = os.path.basename(path)
    owner, fresh, old = beside(path, "~$" + name[2:]), beside(path, "~WRD0001.tmp"), beside(path, "~WRL0002.tmp")
    put(owner, b"\x04user", sync=False)
    put(fresh, data)
    if os.path.exists(path):
        os.rename(path, old)
    os.rename(fresh, path)
    if os.path.exists(old):
        os.unlink(old)
    os.unlink(owner)


def emacs(path, data):
    """A lock that is a symbolic link, which the drive refuses, a backup by renaming, the file made anew."""
    try:
        os.symlink("user@host.1", beside(path, ".#" + os.path.basename(path)))
    except PermissionError:
        pass
    if os.path.exists(path):
        os.rename(path, path + "~")
    put(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def in_place(path, data):
    """The file itself, cut to nothing and written again."""
    put(path, data, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, sync=False)


def overwrite(path, data):
    """Written over what is there and cut to its length afterwards."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
    os.close(descriptor)


def patterns():
    return {each.__name__: each for each in (libreoffice, gnome, qt, word, emacs, in_place, overwrite)}


def main():
    pattern, path, text = sys.argv[1:]
    patterns()[pattern](path, text.encode())
    with open(path, "rb") as saved:
        assert saved.read() == text.encode()
    assert os.stat(path).st_size == len(text.encode())


main()
