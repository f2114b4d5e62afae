#!/usr/bin/env python3
"""Asynchronous O_DIRECT writes of a file that others read through the page cache meanwhile: usage direct-io.py DIRECTORY SECONDS.
Ends with an error at the first bytes that are read after a write as they were before it."""
import ctypes, mmap, os, platform, struct, sys, threading, time

LENGTH = 640 * 1024
PWRITE = 1
# io_setup, io_getevents, io_submit: asm/unistd.h
SETUP, GETEVENTS, SUBMIT = {"x86_64": (206, 208, 209), "aarch64": (0, 4, 2)}[platform.machine()]
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


class Writer:
    """Writes all of a file by one request of the kernel's asynchronous I/O (linux/aio_abi.h)."""

    def __init__(self, path):
        self.descriptor = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.memory = mmap.mmap(-1, LENGTH)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        context = ctypes.c_ulong(0)
        call(SETUP, 1, ctypes.addressof(context))
        self.context = context.value

    def write(self, data):
        self.memory[:] = data
        request = struct.pack("<QIIHhIQQqQII", 0, 0, 0, PWRITE, 0, self.descriptor, self.address, LENGTH, 0, 0, 0, 0)
        request = ctypes.create_string_buffer(request, len(request))
        requests = (ctypes.c_void_p * 1)(ctypes.addressof(request))
        call(SUBMIT, self.context, 1, ctypes.addressof(requests))
        event = (ctypes.c_int64 * 4)()
        call(GETEVENTS, self.context, 1, 1, ctypes.addressof(event), 0)
        assert event[2] == LENGTH, f"{event[2]} of {LENGTH} bytes were written"


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


path = os.path.join(sys.argv[1], "direct")
end = time.monotonic() + float(sys.argv[2])
with open(path, "wb") as file:
    file.write(bytes(LENGTH))


def read_on():
    while time.monotonic() < end:
        read_all(path)


readers = [threading.Thread(target=read_on) for _ in range(2)]
for reader in readers:
    reader.start()
writer = Writer(path)
turns = 0
old = None
while time.monotonic() < end and old is None:
    turns += 1
    expected = bytes([turns % 255 + 1]) * LENGTH
    writer.write(expected)
    if read_all(path) != expected:
        old = turns
end = 0
for reader in readers:
    reader.join()
if old is not None:
    sys.exit(f"after write {old} older bytes were read")
print(turns > 1)
