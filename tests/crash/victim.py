# SPDX-License-Identifier: Apache-2.0
"""A server and a client on loopback that talk all the time.

The client is the victim of the crash tests: it appends "ok MILLISECONDS" or "fail MILLISECONDS" to a file for every
connection that it tries. Dropped packets and failed calls are seen as "fail", a pause as silence. A server that has
one place and a short queue ("keep") is full as long as somebody else has all of that.
"""
import os
import socket
import sys
import time


def serve(port):
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


def ask(port, path):
    with open(path, "a", buffering=1, encoding="ascii") as log:
        while True:
            word = "ok"
            try:
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
        ask(int(sys.argv[2]), sys.argv[3])
