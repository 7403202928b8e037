# SPDX-License-Identifier: Apache-2.0
"""A name server for the tests, by UDP and TCP.

    dns_server.py PORT LOG ADDRESS...

Every name has the addresses 127.0.0.1 and ::1, but: what begins with "none" does not exist, "big" has 3000 bytes of
text (truncated by UDP unless the client's EDNS has room), "slow" takes 0.4 s, "silent" is not answered. Every question
is written to LOG as "udp NAME TYPE ID SIZE" or "tcp ...".
"""
import contextlib
import socket
import struct
import sys
import threading
import time

A, TXT, AAAA = 1, 16, 28
ADDRESSES = {A: socket.inet_aton("127.0.0.1"), AAAA: socket.inet_pton(socket.AF_INET6, "::1")}


def record(kind, data):
    return b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data


def read(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin1"))
        at += 1 + query[at]
    kind = struct.unpack(">H", query[at + 1:at + 3])[0]
    end = at + 5
    room = 512
    if struct.unpack(">H", query[10:12])[0] and query[end:end + 3] == b"\0\0\x29":
        room = struct.unpack(">H", query[end + 3:end + 5])[0]
    return ".".join(labels).lower(), kind, end, room


def answer(query, word):
    name, kind, end, room = read(query)
    print(word, name, kind, struct.unpack(">H", query[:2])[0], len(query), file=log, flush=True)
    if name.startswith("slow"):
        time.sleep(0.4)
    if name.startswith("silent"):
        return None
    records, code = [], 3 if name.startswith("none") else 0
    if name.startswith("big") and kind == TXT:
        records = [record(TXT, (b"\xc8" + b"x" * 200) * 15)]
    elif not code and kind in ADDRESSES:
        records = [record(kind, ADDRESSES[kind])]
    body = query[12:end] + b"".join(records)
    flags = 0x8180 | code
    if word == "udp" and 12 + len(body) > room:
        records, body, flags = [], query[12:end], flags | 0x0200
    return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + body


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def udp(address, port):
    server = socket.socket(family(address), socket.SOCK_DGRAM)
    server.bind((address, port))

    def one(query, client):
        message = answer(query, "udp")
        if message:
            server.sendto(message, client)

    while True:
        threading.Thread(target=one, args=server.recvfrom(65535), daemon=True).start()


def tcp(address, port):
    listener = socket.socket(family(address))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(64)

    def one(connection):
        with connection, connection.makefile("rwb") as stream, contextlib.suppress(OSError):
            while len(size := stream.read(2)) == 2:
                message = answer(stream.read(struct.unpack(">H", size)[0]), "tcp")
                if message:
                    stream.write(struct.pack(">H", len(message)) + message)
                    stream.flush()

    while True:
        threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


log = open(sys.argv[2], "a", encoding="ascii")
for where in sys.argv[3:]:
    for serve in (udp, tcp):
        threading.Thread(target=serve, args=(where, int(sys.argv[1])), daemon=True).start()
threading.Event().wait()
