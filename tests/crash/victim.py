# SPDX-License-Identifier: Apache-2.0
"""A server and a client on loopback that talk all the time, or look a name up (of the server, at 127.0.0.1:53).

The client is the victim of the crash tests: it appends "ok MILLISECONDS" or "fail MILLISECONDS" to a file for every
connection that it tries. Dropped packets and failed calls are seen as "fail", a pause as silence. A server that has
one place and a short queue ("keep") is full as long as somebody else has all of that.
"""
import os
import socket
import sys
import threading
import time


def serve_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        server.bind(("127.0.0.1", 53))
    except OSError:
        return  # another one of these does it
    while True:
        query, client = server.recvfrom(512)
        server.sendto(query[:2] + b"\x81\x80" + query[4:], client)


def look_up():
    query = os.urandom(2) + b"\1\0\0\1\0\0\0\0\0\0\6victim\4test\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(("127.0.0.1", 53))
        client.send(query)
        if client.recv(512)[3] & 15:
            raise OSError("no such name")


def serve(port):
    threading.Thread(target=serve_names, daemon=True).start()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        connection.close()


def keep(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(2)
    while True:
        connection, _ = listener.accept()
        try:
            while connection.recv(4096):
                pass
        except OSError:
            pass
        connection.close()


def ask(port, path, kind):
    with open(path, "a", buffering=1, encoding="ascii") as log:
        while True:
            word = "ok"
            try:
                if kind == "dns.fail":
                    look_up()
                socket.create_connection(("127.0.0.1", port), timeout=0.05).close()
            except OSError:
                word = "fail"
            log.write(f"{word} {time.time_ns() // 1000000}\n")
            time.sleep(0.002)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    elif sys.argv[1] == "keep":
        keep(int(sys.argv[2]))
    else:
        with open(sys.argv[4], "w", encoding="ascii") as pid_file:
            pid_file.write(str(os.getpid()))
        ask(int(sys.argv[2]), sys.argv[3], sys.argv[5] if len(sys.argv) > 5 else "")
