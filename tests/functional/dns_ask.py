# SPDX-License-Identifier: Apache-2.0
"""Asks a name server, and says on one line what came back.

    dns_ask.py [OPTION...] SERVER NAME [TYPE]

    -tcp         by TCP
    -unconnected by sendto() and recvfrom(): which address answers is checked
    -mapped      on an IPv6 socket, to the IPv4-mapped address
    -edns        with an OPT record that has room for 4096 bytes
    -port N      not 53
    -wait S      seconds, 20 when left out
    -count N     so many lookups, each with both questions from a socket of its own; says how many had which code

    NOERROR answers=1 ttl=60 size=43 flags=8180 edns=0 from=127.0.0.2:53 peer=127.0.0.2:53 data=127.0.0.1
"""
import collections
import os
import socket
import struct
import sys

TYPES = {"A": 1, "TXT": 16, "AAAA": 28, "MX": 15, "SRV": 33}
CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}


def query(name, kind, edns, ident=None):
    ident = os.urandom(2) if ident is None else ident
    labels = b"".join(bytes([len(part)]) + part.encode("latin1") for part in name.split(".") if part)
    question = labels + b"\0" + struct.pack(">HH", TYPES[kind], 1)
    extra = b"\0" + struct.pack(">HHIH", 41, 4096, 0x8000, 0) if edns else b""
    return ident + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 1 if edns else 0) + question + extra


def describe(asked, message):
    flags, _, answers, _, extra = struct.unpack(">HHHHH", message[2:12])
    if message[:2] != asked[:2]:
        return "WRONG-ID"
    at = 12
    while message[at]:
        at += 1 + message[at]
    at += 5
    ttl, data = "-", []
    for _ in range(answers):
        kind, _, ttl, size = struct.unpack(">HHIH", message[at + 2:at + 12])
        value = message[at + 12:at + 12 + size]
        if kind in (1, 28):
            data.append(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, value))
        at += 12 + size
    return (f"{CODES.get(flags & 15, flags & 15)} answers={answers} ttl={ttl} size={len(message)} flags={flags:04x} "
            f"edns={extra} data={','.join(data)}")


def show(address):
    return f"{address[0]}:{address[1]}"


def take(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the server ended the connection")
        data += part
    return data


def ask(options, asked):
    to = (options["server"], options["port"])
    family = socket.AF_INET6 if ":" in to[0] else socket.AF_INET
    if "mapped" in options:
        family, to = socket.AF_INET6, ("::ffff:" + to[0], to[1])
    with socket.socket(family, socket.SOCK_STREAM if "tcp" in options else socket.SOCK_DGRAM) as client:
        client.settimeout(options["wait"])
        if "unconnected" in options:
            client.sendto(asked, to)
            message, sender = client.recvfrom(65535)
            return f"{describe(asked, message)} from={show(sender)}"
        client.connect(to)
        peer = show(client.getpeername())
        if "tcp" in options:
            client.sendall(struct.pack(">H", len(asked)) + asked)
            message = take(client, struct.unpack(">H", take(client, 2))[0])
            return f"{describe(asked, message)} peer={peer}"
        client.send(asked)
        message, sender = client.recvfrom(65535)
        return f"{describe(asked, message)} from={show(sender)} peer={peer}"


def many(options, name):
    told, differ = collections.Counter(), 0
    for _ in range(options["count"]):
        codes = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(options["wait"])
            client.connect((options["server"], options["port"]))
            for kind in ("A", "AAAA"):
                asked = query(name, kind, False)
                client.send(asked)
                codes.append(describe(asked, client.recv(65535)).split()[0])
        told[codes[0]] += 1
        differ += codes[0] != codes[1]
    return " ".join(f"{code}={count}" for code, count in sorted(told.items())) + f" differ={differ}"


def main(arguments):
    options = {"port": 53, "wait": 20.0}
    while arguments[0].startswith("-"):
        word = arguments.pop(0)[1:]
        options[word] = {"port": int, "count": int, "wait": float}[word](arguments.pop(0)) \
            if word in ("port", "wait", "count") else True
    options["server"], name = arguments[:2]
    if "count" in options:
        return many(options, name)
    return ask(options, query(name, arguments[2] if len(arguments) > 2 else "A", "edns" in options))


try:
    print(main(sys.argv[1:]))
except OSError as error:
    print(f"{type(error).__name__}: {error}")
