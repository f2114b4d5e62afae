"""org.freedesktop.Notifications as a desktop has it, on the session bus, with the standard library alone: so that the test shares no code with what
it tests. Prints "ready", then each notification as a line of JSON. Arguments: capabilities; "hang" leaves notifications unanswered."""
import json
import os
import socket
import struct
import sys

NAME = "org.freedesktop.Notifications"
ALIGNMENT = {"y": 1, "g": 1, "v": 1, "i": 4, "u": 4, "s": 4, "o": 4, "a": 4, "(": 8, "{": 8}


def pad(size, to):
    return -size % to


def end_of(signature, at):
    if signature[at] == "a":
        return end_of(signature, at + 1)
    if signature[at] not in "({":
        return at + 1
    at += 1
    while signature[at] not in ")}":
        at = end_of(signature, at)
    return at + 1


def read(data, at, type_):
    code = type_[0]
    at += pad(at, ALIGNMENT[code])
    if code == "y":
        return data[at], at + 1
    if code in "iu":
        return struct.unpack_from("<" + {"i": "i", "u": "I"}[code], data, at)[0], at + 4
    if code in "sog":
        length, at = (data[at], at + 1) if code == "g" else (struct.unpack_from("<I", data, at)[0], at + 4)
        return data[at : at + length].decode(), at + length + 1
    if code == "v":
        inner, at = read(data, at, "g")
        return read(data, at, inner)
    if code == "a":
        length, at = read(data, at, "u")
        at += pad(at, ALIGNMENT[type_[1]])
        end, values = at + length, []
        while at < end:
            value, at = read(data, at, type_[1:])
            values.append(value)
        return values, at
    return read_all(data, at, type_[1:-1])


def read_all(data, at, signature):
    values, begin = [], 0
    while begin < len(signature):
        end = end_of(signature, begin)
        value, at = read(data, at, signature[begin:end])
        values.append(value)
        begin = end
    return values, at


def text(value):
    data = value.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


def field(code, type_, value):
    body = struct.pack("<I", value) if type_ == "u" else bytes([len(value)]) + value.encode() + b"\0" if type_ == "g" else text(value)
    # Code, length and text of the type, and a zero byte: aligned for what follows.
    return bytes([code, 1, ord(type_), 0]) + body


class Bus:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.serial = 0
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self.socket.recv(1024).startswith(b"OK ")
        self.socket.sendall(b"BEGIN\r\n")

    def send(self, kind, fields, body):
        self.serial += 1
        array = b""
        for one in fields:
            array += b"\0" * pad(len(array), 8) + one
        head = struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), self.serial, len(array)) + array
        self.socket.sendall(head + b"\0" * pad(len(head), 8) + body)

    def call_bus(self, member, signature="", body=b""):
        bus = "org.freedesktop.DBus"
        fields = [field(1, "o", "/org/freedesktop/DBus"), field(2, "s", bus), field(3, "s", member), field(6, "s", bus)]
        self.send(1, fields + ([field(8, "g", signature)] if signature else []), body)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                sys.exit(0)  # the session ended
            data += piece
        return data

    def receive(self):
        head = self.exactly(16)
        body_size, serial, fields_size = struct.unpack_from("<III", head, 4)
        rest = self.exactly(fields_size + pad(fields_size, 8) + body_size)
        fields = dict(read(head + rest, 12, "a(yv)")[0])
        body = rest[len(rest) - body_size :]
        return head[1], serial, fields, read_all(body, 0, fields.get(8, ""))[0]


capabilities = [word for word in sys.argv[1:] if word != "hang"]
address = os.environ["DBUS_SESSION_BUS_ADDRESS"]
bus = Bus(address.split("path=")[1].split(",")[0])
bus.call_bus("Hello")
bus.call_bus("RequestName", "su", text(NAME) + b"\0" * pad(len(text(NAME)), 4) + struct.pack("<I", 0))
shown = 0
while True:
    kind, serial, fields, body = bus.receive()
    if kind == 2 and fields.get(5) == 2:
        print("ready", flush=True)
    if kind != 1:
        continue
    if fields.get(3) == "Notify":
        app, replaces, icon, summary, text_, actions, hints, expiry = body
        shown = shown if replaces else shown + 1
        print(json.dumps({"app": app, "replaces": replaces, "icon": icon, "title": summary, "text": text_, "actions": actions,
                          "hints": dict(hints), "expiry": expiry}), flush=True)
    if fields.get(3) == "Notify" and "hang" not in sys.argv:
        signature, answer = "u", struct.pack("<I", replaces or shown)
    elif fields.get(3) == "GetCapabilities":
        items = b""
        for one in capabilities:
            items += b"\0" * pad(len(items), 4) + text(one)
        signature, answer = "as", struct.pack("<I", len(items)) + items
    else:
        continue
    bus.send(2, [field(5, "u", serial), field(6, "s", fields[7]), field(8, "g", signature)], answer)
