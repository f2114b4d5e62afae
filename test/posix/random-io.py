#!/usr/bin/env python3
"""Random operations on a few files, each compared with bytes in memory: what fsx does, and more.

Usage: random-io.py DIRECTORY SEED OPERATIONS MAX_BYTES
Before "remount" and "drain" all is closed; the word is printed and the program goes on when it has read a line, so that whoever runs
it can do what the word says. The first difference ends it with status 1, the operations that led there and the seed.
Must not know: which file system it runs on.
"""
import ctypes
import errno
import mmap
import os
import random
import sys

KEEP_SIZE = 1
PUNCH_HOLE = 2
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def fallocate(descriptor, mode, offset, length):
    if libc.fallocate(descriptor, mode, offset, length) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Difference(Exception):
    pass


class File:
    """One name: the bytes it should have, and the descriptors that are open."""

    def __init__(self, path):
        self.path = path
        self.bytes = bytearray()
        self.descriptors = []

    def open(self, flags=0):
        self.descriptors.append(os.open(self.path, os.O_RDWR | os.O_CREAT | flags, 0o644))
        if flags & os.O_TRUNC:
            del self.bytes[:]

    def close(self, index=0):
        os.close(self.descriptors.pop(index))

    def close_all(self):
        while self.descriptors:
            self.close()

    def put(self, offset, data):
        end = offset + len(data)
        self.grow(end)
        self.bytes[offset:end] = data

    def grow(self, size):
        if size > len(self.bytes):
            self.bytes.extend(bytes(size - len(self.bytes)))

    def cut(self, size):
        self.grow(size)
        del self.bytes[size:]


class Exerciser:
    def __init__(self, directory, seed, max_bytes):
        self.directory = directory
        self.random = random.Random(seed)
        self.max_bytes = max_bytes
        self.files = [File(os.path.join(directory, f"random-{i}")) for i in range(3)]
        self.log = []
        for file in self.files:
            file.open(os.O_TRUNC)
        self.choices = [
            (self.write, 20),
            (self.append, 6),
            (self.read, 18),
            (self.map_read, 8),
            (self.map_write, 12),
            (self.truncate, 8),
            (self.truncate_path, 3),
            (self.punch, 5),
            (self.allocate, 3),
            (self.copy_range, 4),
            (self.fsync, 3),
            (self.reopen, 8),
            (self.another_descriptor, 4),
            (self.overwrite, 2),
            (self.rename_over, 2),
            (self.swap_names, 1),
            (self.unlink, 1),
            (self.size, 6),
            (self.data_and_holes, 2),
        ]
        if "fallocate" in os.environ.get("WITHOUT", "").split():
            self.choices = [choice for choice in self.choices if choice[0] not in (self.punch, self.allocate)]
        self.verbs = [verb for verb, _ in self.choices]
        self.weights = [weight for _, weight in self.choices]

    # What is drawn

    def file(self):
        file = self.random.choice(self.files)
        if not file.descriptors:
            file.open()
        return file

    def descriptor(self, file):
        return self.random.choice(file.descriptors)

    def length(self):
        # Small ones, those around a page, and some of many blocks.
        return self.random.choice(
            [
                self.random.randint(1, 100),
                self.random.randint(4000, 4200),
                self.random.randint(1, self.max_bytes // 4),
            ]
        )

    def range(self, limit):
        if limit == 0:
            return 0, 0
        offset = self.random.randrange(limit)
        if self.random.random() < 0.3:
            offset -= offset % 4096
        return offset, min(self.length(), limit - offset)

    def data(self, length):
        return self.random.randbytes(length)

    def note(self, *words):
        self.log.append(" ".join(str(word) for word in words))
        del self.log[:-200]

    # What is done

    def write(self):
        file = self.file()
        offset, length = self.range(self.max_bytes)
        data = self.data(length)
        self.note("write", file.path, offset, length)
        written = os.pwrite(self.descriptor(file), data, offset)
        self.expect(written == length, f"wrote {written} of {length}")
        file.put(offset, data)

    def append(self):
        file = self.file()
        length = min(self.length(), self.max_bytes - len(file.bytes))
        data = self.data(max(0, length))
        self.note("append", file.path, len(file.bytes), len(data))
        descriptor = os.open(file.path, os.O_WRONLY | os.O_APPEND)
        self.expect(os.write(descriptor, data) == len(data), "short append")
        os.close(descriptor)
        file.put(len(file.bytes), data)

    def read(self):
        file = self.file()
        offset, length = self.range(self.max_bytes)
        self.note("read", file.path, offset, length)
        self.same(file, offset, os.pread(self.descriptor(file), length, offset), length)

    def mapped(self, file, write):
        if not file.bytes:
            return None
        access = mmap.PROT_READ | (mmap.PROT_WRITE if write else 0)
        return mmap.mmap(self.descriptor(file), len(file.bytes), mmap.MAP_SHARED, access)

    def map_read(self):
        file = self.file()
        mapping = self.mapped(file, False)
        if mapping is None:
            return
        offset, length = self.range(len(file.bytes))
        self.note("map_read", file.path, offset, length)
        self.same(file, offset, mapping[offset : offset + length], length)
        mapping.close()

    def map_write(self):
        file = self.file()
        mapping = self.mapped(file, True)
        if mapping is None:
            return
        offset, length = self.range(len(file.bytes))
        data = self.data(length)
        how = self.random.choice(["sync", "leave", "close first"])
        self.note("map_write", file.path, offset, length, how)
        if how == "close first":
            # The stores reach the file system after its last close.
            file.close_all()
        mapping[offset : offset + length] = data
        if how == "sync":
            mapping.flush()
        mapping.close()
        file.put(offset, data)

    def truncate(self):
        file = self.file()
        size = self.random.choice([0, self.random.randrange(self.max_bytes), self.random.randrange(self.max_bytes)])
        self.note("ftruncate", file.path, len(file.bytes), size)
        os.ftruncate(self.descriptor(file), size)
        file.cut(size)

    def truncate_path(self):
        file = self.random.choice(self.files)
        if self.random.random() < 0.5:
            file.close_all()
        if not os.path.exists(file.path):
            file.open()
        size = self.random.randrange(self.max_bytes)
        self.note("truncate", file.path, len(file.bytes), size, f"{len(file.descriptors)} open")
        os.truncate(file.path, size)
        file.cut(size)

    def punch(self):
        file = self.file()
        offset, length = self.range(self.max_bytes)
        self.note("punch", file.path, offset, length)
        fallocate(self.descriptor(file), KEEP_SIZE | PUNCH_HOLE, offset, length)
        end = min(offset + length, len(file.bytes))
        if end > offset:
            file.bytes[offset:end] = bytes(end - offset)

    def allocate(self):
        file = self.file()
        offset, length = self.range(self.max_bytes)
        keep = self.random.random() < 0.5
        self.note("allocate", file.path, offset, length, "keep size" if keep else "")
        fallocate(self.descriptor(file), KEEP_SIZE if keep else 0, offset, length)
        if not keep:
            file.grow(offset + length)

    def copy_range(self):
        source, target = self.file(), self.file()
        offset, length = self.range(len(source.bytes))
        to = self.random.randrange(self.max_bytes)
        length = min(length, self.max_bytes - to)
        if length == 0 or (source is target and abs(to - offset) < length):
            return
        self.note("copy_file_range", source.path, offset, length, target.path, to)
        copied = os.copy_file_range(self.descriptor(source), self.descriptor(target), length, offset, to)
        target.put(to, bytes(source.bytes[offset : offset + copied]))

    def fsync(self):
        file = self.file()
        self.note("fsync", file.path)
        self.random.choice([os.fsync, os.fdatasync])(self.descriptor(file))

    def reopen(self):
        file = self.file()
        self.note("reopen", file.path)
        file.close(self.random.randrange(len(file.descriptors)))
        file.open()

    def another_descriptor(self):
        file = self.file()
        if len(file.descriptors) < 3:
            self.note("open", file.path)
            file.open()
        else:
            self.note("close", file.path)
            file.close(self.random.randrange(3))

    def overwrite(self):
        file = self.file()
        self.note("open(O_TRUNC)", file.path)
        file.close_all()
        file.open(os.O_TRUNC)

    def rename_over(self):
        source, target = self.random.sample(self.files, 2)
        if self.random.random() < 0.5:
            source.close_all()
        if not os.path.exists(source.path):
            source.open()
        self.note("rename", source.path, target.path, f"{len(source.descriptors)} and {len(target.descriptors)} open")
        os.rename(source.path, target.path)
        # What was open at the target reads on, without a name.
        for descriptor in target.descriptors:
            kept = os.pread(descriptor, self.max_bytes * 2, 0)
            self.expect(kept == target.bytes, "what was replaced reads differently")
        target.close_all()
        target.bytes, target.descriptors = source.bytes, source.descriptors
        source.bytes, source.descriptors = bytearray(), []
        source.open()

    def swap_names(self):
        one, other = self.random.sample(self.files, 2)
        if not (os.path.exists(one.path) and os.path.exists(other.path)):
            return
        self.note("swap", one.path, other.path)
        between = os.path.join(self.directory, "between")
        os.rename(one.path, between)
        os.rename(other.path, one.path)
        os.rename(between, other.path)
        one.bytes, other.bytes = other.bytes, one.bytes
        one.descriptors, other.descriptors = other.descriptors, one.descriptors

    def unlink(self):
        file = self.file()
        self.note("unlink", file.path, f"{len(file.descriptors)} open")
        os.unlink(file.path)
        descriptor = self.descriptor(file)
        data = self.data(1000)
        os.pwrite(descriptor, data, 500)
        file.put(500, data)
        self.same(file, 0, os.pread(descriptor, self.max_bytes * 2, 0), self.max_bytes * 2)
        self.expect(os.fstat(descriptor).st_size == len(file.bytes), "size of an unlinked file")
        file.close_all()
        file.bytes = bytearray()
        file.open()

    def size(self):
        file = self.file()
        self.note("stat", file.path)
        size = os.stat(file.path).st_size if self.random.random() < 0.5 else os.fstat(self.descriptor(file)).st_size
        self.expect(size == len(file.bytes), f"size {size} instead of {len(file.bytes)}")

    def data_and_holes(self):
        file = self.file()
        if not file.bytes:
            return
        self.note("seek", file.path)
        descriptor = self.descriptor(file)
        at = self.random.randrange(len(file.bytes))
        hole = os.lseek(descriptor, at, os.SEEK_HOLE)
        self.expect(at <= hole <= len(file.bytes), f"hole at {hole} from {at}")
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            start = len(file.bytes)
        self.expect(not any(file.bytes[at:start]), f"data between {at} and {start} is called a hole")

    # Comparing

    def expect(self, condition, message):
        if not condition:
            raise Difference(message)

    def same(self, file, offset, got, length):
        wanted = bytes(file.bytes[offset : offset + length])
        if got == wanted:
            return
        if len(got) != len(wanted):
            raise Difference(f"{file.path}: {len(got)} bytes at {offset} instead of {len(wanted)}")
        first = next(i for i in range(len(got)) if got[i] != wanted[i])
        last = max(i for i in range(len(got)) if got[i] != wanted[i])
        kind = "zeros" if not any(got[first : last + 1]) else "other bytes"
        raise Difference(f"{file.path}: {kind} from {offset + first} to {offset + last}")

    def check_all(self):
        for file in self.files:
            if not os.path.exists(file.path):
                file.open()
            with open(file.path, "rb") as opened:
                self.same(file, 0, opened.read(), max(len(file.bytes), 1))
            self.expect(os.stat(file.path).st_size == len(file.bytes), "size at the end")

    def hand_over(self, word):
        self.note(word)
        for file in self.files:
            file.close_all()
        print(word, flush=True)
        if not sys.stdin.readline():
            raise Difference("nobody answers")

    def run(self, operations):
        for i in range(1, operations + 1):
            self.random.choices(self.verbs, self.weights)[0]()
            if i % 500 == 0:
                self.hand_over("drain" if i % 1000 == 0 else "remount")
                self.check_all()
        self.check_all()


def main():
    directory, seed, operations, max_bytes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    exerciser = Exerciser(directory, seed, max_bytes)
    try:
        exerciser.run(operations)
    except (Difference, OSError) as error:
        print("\n".join(exerciser.log[-40:]), file=sys.stderr)
        print(f"seed {seed}: {error}", file=sys.stderr)
        sys.exit(1)
    print("same", flush=True)


main()
