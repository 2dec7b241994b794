"""The client of a case: plays its bytes, reads until everything that may come has come.

What ends the reading is the end of the connection, or silence on the cases' clock (clock.py): short when all the responses
came, longer where the connection must then be closed, the case's own `wait` when something is missing.
"""
import contextlib
import select
import socket
import threading
import time

from .play import play
from .wire import parse_responses

AFTER_ALL = 0.12     # counted seconds of silence after the last response that was wanted: nothing more comes
AFTER_SWITCH = 0.3   # the same in a tunnel
BEFORE_CLOSE = 0.9   # within which a connection that must be closed is closed
MISSING = 1.5        # `wait` of a case that says none
STUCK = 60.0         # seconds, plain, after which a connection that takes no more bytes is given up


class Result:
    def __init__(self):
        self.raw, self.eof = b"", False
        self.finals, self.interims, self.left, self.faults = [], [], b"", []


def allowed_silence(r, case, want_n, want_close):
    """How long it may be silent after what has come so far."""
    finals, _, left, _ = parse_responses(r.raw, case.get("methods", ["GET"]), False)
    complete = sum(m.complete for m in finals)
    if complete < want_n or left or (finals and finals[-1].truncated):
        return case.get("wait", MISSING)
    if finals and finals[-1].status == 101:
        return AFTER_SWITCH
    return BEFORE_CLOSE if want_close else AFTER_ALL


def exchange(addr, case, want_n, want_close, clock):
    r = Result()
    s = socket.create_connection(addr, timeout=5)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setblocking(True)
    over, sent = threading.Event(), threading.Event()
    since = None  # counted time at which the silence began
    poll = select.poll()  # and no time limit of the socket's own: the sender would get it too
    poll.register(s, select.POLLIN)

    def sender():
        with contextlib.suppress(OSError):  # the proxy closed: what it said is what counts
            play(s, case["send"], over)
        sent.set()
    thread = threading.Thread(target=sender, daemon=True)
    thread.start()
    try:
        allowed = allowed_silence(r, case, want_n, want_close)
        last = time.monotonic()
        while True:
            if sent.is_set():
                since = clock.latest() if since is None else since
                left = since + allowed - clock.now()
                if left <= 0 and not poll.poll(0):  # what lies there already was no silence
                    break
            else:
                left = 0.02
                if time.monotonic() - last > STUCK:
                    break
            if not poll.poll(max(5, left * 1000)):
                continue
            try:
                d = s.recv(262144)
            except OSError:  # a reset, the proxy's or our own
                r.eof = True
                break
            if not d:
                r.eof = True
                break
            r.raw += d
            since, last = None, time.monotonic()
            allowed = allowed_silence(r, case, want_n, want_close)
    finally:
        over.set()
        thread.join(0.2)
        if thread.is_alive():  # blocked: nobody reads what it sends
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            thread.join()
        s.close()
    r.finals, r.interims, r.left, r.faults = parse_responses(r.raw, case.get("methods", ["GET"]), r.eof)
    return r
