# SPDX-License-Identifier: Apache-2.0
"""Both ends of TCP connections, for tests: what each of them sees is a line of a log.

  peer.py serve ADDRESS PORT LOG        answers with what it is told; "open", "text T", "eof", "error NAME"
  peer.py drop ADDRESS PORT LOG         accepts and closes at once
  peer.py chat ADDRESS PORT LOG COUNT   keeps COUNT connections that talk; "ready", then "I error NAME" for each that
                                        failed (and is then opened again)
"""
import errno
import socket
import sys
import threading
import time

mode, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
log = open(sys.argv[4], "a", buffering=1, encoding="utf-8")


def serve_one(connection):
    log.write("open\n")
    try:
        while data := connection.recv(4096):
            log.write(f"text {data.decode()!r}\n")
            connection.sendall(data)
        log.write("eof\n")
    except OSError as error:
        log.write(f"error {errno.errorcode[error.errno]}\n")
    connection.close()


def serve():
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(128)
    log.write("ready\n")
    while True:
        connection, _ = listener.accept()
        if mode == "drop":
            connection.close()
        else:
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()


def chat(count):
    connections = [socket.create_connection((address, port)) for _ in range(count)]
    log.write("ready\n")
    while True:
        for i, connection in enumerate(connections):
            try:
                connection.sendall(b"x")
                if not connection.recv(1):
                    raise OSError(errno.EPIPE, "closed")
            except OSError as error:
                connection.close()
                connections[i] = socket.create_connection((address, port))
                # told when all of them are there again
                log.write(f"{i} error {errno.errorcode[error.errno]}\n")
        time.sleep(0.02)


if mode == "chat":
    chat(int(sys.argv[5]))
else:
    serve()
