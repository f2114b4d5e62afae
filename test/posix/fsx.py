#!/usr/bin/env python3
"""Random operations on one file of a directory given as argument, beside the same in memory: usage fsx.py DIRECTORY OPERATIONS SEED.
Ends with an error that names seed and operation at the first difference."""
import ctypes, mmap, os, random, sys

libc = ctypes.CDLL(None, use_errno=True)
LARGEST = 400_000
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16


class Exerciser:
    def __init__(self, directory, seed):
        self.path = os.path.join(directory, "fsx")
        self.random = random.Random(seed)
        self.expected = bytearray()
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)

    def span(self):
        """A range, often at the borders of pages, and its end."""
        offset = self.random.choice((self.random.randrange(LARGEST), self.random.randrange(LARGEST // 4096) * 4096))
        length = self.random.choice((1, 100, 4096, 5000, 70_000, 140_000))
        return offset, min(LARGEST, offset + self.random.randrange(length) + 1)

    def put(self, offset, data):
        if len(self.expected) < offset:
            self.expected.extend(bytes(offset - len(self.expected)))
        self.expected[offset:offset + len(data)] = data

    def write(self):
        offset, end = self.span()
        data = self.random.randbytes(end - offset)
        assert os.pwrite(self.descriptor, data, offset) == len(data)
        self.put(offset, data)

    def append(self):
        data = self.random.randbytes(self.random.randrange(1, 3000))
        if len(self.expected) + len(data) > LARGEST:
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, data)
        os.close(descriptor)
        self.expected.extend(data)

    def read(self):
        offset, end = self.span()
        assert os.pread(self.descriptor, end - offset, offset) == self.expected[offset:end]

    def truncate(self):
        length = self.random.randrange(LARGEST)
        self.random.choice((lambda: os.ftruncate(self.descriptor, length), lambda: os.truncate(self.path, length)))()
        if length < len(self.expected):
            del self.expected[length:]
        else:
            self.expected.extend(bytes(length - len(self.expected)))

    def map(self):
        if len(self.expected) == 0:
            return
        with mmap.mmap(self.descriptor, len(self.expected)) as memory:
            for _ in range(3):
                offset, end = self.span()
                end = min(end, len(self.expected))
                if offset >= end:
                    continue
                assert memory[offset:end] == self.expected[offset:end]
                data = self.random.randbytes(end - offset)
                memory[offset:end] = data
                self.expected[offset:end] = data
            if self.random.random() < 0.5:
                memory.flush()

    def zero(self):
        offset, end = self.span()
        mode = self.random.choice((PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE | KEEP_SIZE, ZERO_RANGE))
        if libc.fallocate(self.descriptor, mode, ctypes.c_long(offset), ctypes.c_long(end - offset)) != 0:
            raise OSError(ctypes.get_errno(), "fallocate")
        if mode & KEEP_SIZE:
            end = min(end, len(self.expected))
        if offset < end:
            self.put(offset, bytes(end - offset))

    def reopen(self):
        os.close(self.descriptor)
        self.descriptor = os.open(self.path, os.O_RDWR)

    def sync(self):
        os.fsync(self.descriptor)

    def replace(self):
        with open(self.path + ".new", "wb") as file:
            file.write(self.expected)
        os.rename(self.path + ".new", self.path)
        if self.random.random() < 0.5:
            assert os.fstat(self.descriptor).st_nlink == 0
        self.reopen()

    def stat(self):
        assert os.fstat(self.descriptor).st_size == os.stat(self.path).st_size == len(self.expected)

    def run(self, operations):
        verbs = (self.write, self.read, self.read, self.truncate, self.map, self.zero, self.append, self.stat)
        if "fallocate" in os.environ.get("WITHOUT", "").split():
            verbs = tuple(verb for verb in verbs if verb != self.zero)
        rare = (self.reopen, self.reopen, self.sync, self.replace)
        for number in range(operations):
            verb = self.random.choice(rare if self.random.random() < 0.05 else verbs)
            try:
                verb()
            except (AssertionError, OSError) as error:
                sys.exit(f"operation {number}, {verb.__name__}: {error!r}")
        with open(self.path, "rb") as file:
            if file.read() != self.expected:
                sys.exit("the whole file differs in the end")
        os.close(self.descriptor)


directory, operations, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
Exerciser(directory, seed).run(operations)
