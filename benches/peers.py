"""What the benchmarks need of Python.

peers.py maildir|sqlite DIRECTORY COUNT FILE    durable enqueues of the file's bytes: microseconds each
peers.py beanstalkd PORT COUNT FILE             the same, by a server on 127.0.0.1
peers.py peak PROGRAM ARGUMENT...               the most memory it had, KiB, and its exit status
"""
import mailbox
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import time


def maildir(directory):
    box = mailbox.Maildir(os.path.join(directory, "maildir"))
    return box.add


def sqlite(directory):
    base = sqlite3.connect(os.path.join(directory, "queue.db"), isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE IF NOT EXISTS queue (id INTEGER PRIMARY KEY, ticket BLOB)")
    return lambda ticket: base.execute("INSERT INTO queue (ticket) VALUES (?)", (ticket,))


def beanstalkd(port):
    server = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def put(ticket):
        server.sendall(b"put 1 0 60 %d\r\n%s\r\n" % (len(ticket), ticket))
        answer = server.recv(100)
        if not answer.startswith(b"INSERTED"):
            sys.exit("beanstalkd: %r" % answer)

    return put


def each(enqueue, count, path):
    with open(path, "rb") as file:
        ticket = file.read()
    enqueue(ticket)
    start = time.perf_counter()
    for _ in range(count):
        enqueue(ticket)
    return (time.perf_counter() - start) / count * 1e6


def peak(stdin, *command):
    with open(stdin) as stdin:
        status = subprocess.call(command, stdin=stdin, stdout=subprocess.DEVNULL)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, status


word, operands = sys.argv[1], sys.argv[2:]
if word == "peak":
    print(*peak(*operands))
else:
    place, count, path = operands
    opened = {"maildir": maildir, "sqlite": sqlite, "beanstalkd": beanstalkd}[word](place)
    print(each(opened, int(count), path))
