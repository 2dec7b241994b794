#!/usr/bin/env python3
"""Requests without end, until SIGTERM, and an account of how each one went.

Owns: connections that are kept and connections that are new for each request, one thread for each. What the account says is
in the report file, replaced a few times in a second: a line of NAME=COUNT words, then a line for each of the first failures.
Never: tries a request again, or counts one twice; a failure that a client could have hidden is still counted.

  answers   status 200, whole        refused   nobody listened               reset   the connection was reset
  cut       it ended too early       timeout   no answer in time             wrong   another status
  stale     a kept connection was closed just as a request was sent on it: not one byte of an answer came
  failed    refused + reset + cut + timeout + wrong + stale
  idle      kept connections that were closed between two requests, which is no failure
  from_X    answers of the backend X  longest_ms  of one request, connecting included
"""
import argparse
import os
import select
import signal
import socket
import threading
import time

FAILURES = ("refused", "reset", "cut", "timeout", "wrong", "stale")


class Failure(Exception):
    def __init__(self, kind, why):
        super().__init__(why)
        self.kind = kind


class Account:
    def __init__(self, report):
        self.lock = threading.Lock()
        self.report = report
        self.begin = time.monotonic()
        self.counts = dict.fromkeys(("answers",) + FAILURES + ("idle",), 0)
        self.longest = 0.0
        self.failures = []

    def answer(self, name, seconds):
        with self.lock:
            self.counts["answers"] += 1
            key = "from_" + name
            self.counts[key] = self.counts.get(key, 0) + 1
            self.longest = max(self.longest, seconds)

    def failure(self, kind, why, who, seconds):
        with self.lock:
            self.counts[kind] += 1
            self.longest = max(self.longest, seconds)
            if len(self.failures) < 20:
                at = time.monotonic() - self.begin
                self.failures.append(f"{at:8.3f} s {who} {kind} after {seconds:.3f} s: {why}")

    def idle(self):
        with self.lock:
            self.counts["idle"] += 1

    def write(self):
        with self.lock:
            failed = sum(self.counts[kind] for kind in FAILURES)
            words = [f"{name}={count}" for name, count in self.counts.items()]
            lines = [" ".join(words + [f"failed={failed}", f"longest_ms={round(self.longest * 1000)}"])] + self.failures
        with open(self.report + ".new", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        os.rename(self.report + ".new", self.report)


class Client:
    """One connection, or a row of them."""

    def __init__(self, address, keep, patience):
        self.address = address
        self.keep = keep
        self.patience = patience
        self.socket = None
        self.request = (f"GET / HTTP/1.1\r\nHost: {address[0]}\r\n" + ("" if keep else "Connection: close\r\n") + "\r\n").encode()

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def closed_while_idle(self):
        if self.socket and select.select([self.socket], [], [], 0)[0]:
            self.close()
            return True
        return False

    def ask(self):
        """The name in the answer; raises Failure."""
        used = self.socket is not None
        data = b""
        try:
            if not used:
                self.socket = socket.create_connection(self.address, self.patience)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.sendall(self.request)
            while b"\r\n\r\n" not in data:
                data += self.more(used, data)
            head, _, body = data.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:])
            while len(body) < int(fields["content-length"]):
                body += self.more(used, data)
        except ConnectionRefusedError as error:
            raise Failure("refused", error) from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Failure("stale" if used and not data else "reset", error) from error
        except TimeoutError as error:
            raise Failure("timeout", error) from error
        except OSError as error:
            raise Failure("reset", error) from error
        if not self.keep or fields.get("connection") == "close":
            self.close()
        if lines[0].split()[1] != "200":
            raise Failure("wrong", lines[0])
        return body.decode().strip()

    def more(self, used, data):
        more = self.socket.recv(65536)
        if not more:
            raise Failure("stale" if used and not data else "cut", f"the connection ended after {len(data)} bytes")
        return more


def run(client, who, account, stop, pause):
    while not stop.wait(pause):
        if client.closed_while_idle():
            account.idle()
        begin = time.monotonic()
        try:
            account.answer(client.ask(), time.monotonic() - begin)
        except Failure as failure:
            client.close()
            account.failure(failure.kind, failure, who, time.monotonic() - begin)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", default="127.0.0.1:80")
    parser.add_argument("--keep", type=int, default=8, help="kept connections")
    parser.add_argument("--new", type=int, default=8, help="threads that connect for each request")
    parser.add_argument("--pause", type=float, default=0.004, help="seconds between two requests of a thread")
    parser.add_argument("--patience", type=float, default=40, help="seconds until a request counts as unanswered")
    parser.add_argument("--report", required=True)
    given = parser.parse_args()
    host, _, port = given.to.rpartition(":")
    account = Account(given.report)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = []
    for index in range(given.keep + given.new):
        keep = index < given.keep
        client = Client((host, int(port)), keep, given.patience)
        who = f"{'kept' if keep else 'new'} {index}"
        threads.append(threading.Thread(target=run, args=(client, who, account, stop, given.pause)))
        threads[-1].start()
    while not stop.wait(0.1):
        account.write()
    for thread in threads:
        thread.join()
    account.write()


if __name__ == "__main__":
    main()
