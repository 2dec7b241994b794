"""The scripted backend: reads requests strictly, answers each as the case says, keeps what it saw.

What a connection brings is written to the case under which it came (a Record), so that a straggler of one case never shows up
in another. Never answers by itself except with the default 200, and 400 to what it cannot read.
"""
import socket
import threading

from .play import play
from .wire import Bad, Need, finish_body, parse_request

QUIET = (b"/__sanity", b"/__health")  # answered, not counted
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Record:
    """What one case made the backend see."""

    def __init__(self, script):
        self.script = script
        self.over = threading.Event()
        self.forget()
        self.index = 0

    def forget(self):
        self.seen = []           # Msg, complete ones
        self.partial = []        # Msg or bytes, never completed
        self.faults = []

    def step(self):
        i, self.index = self.index, self.index + 1
        return self.script[min(i, len(self.script) - 1)] if self.script else {"send": OK}


class Backend:
    def __init__(self, host="127.0.0.1", port=0):
        self.sock = socket.create_server((host, port), backlog=128)
        self.port = self.sock.getsockname()[1]
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.conns = set()
        self.reset([])
        threading.Thread(target=self.accept, daemon=True).start()

    def reset(self, script):
        """A new case begins."""
        with self.lock:
            self.record = Record(script)
            return self.record

    def end_case(self):
        """Ends every connection of the case and waits until their threads are done with them."""
        with self.lock:
            self.record.over.set()
            for c in self.conns:
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.changed.wait_for(lambda: not self.conns, 0.5)

    def end(self):
        """Closes the listener; connections end with their peers."""
        self.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self.sock.close()

    def accept(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.conns.add(c)
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        rest = b""
        try:
            while rest is not None:
                rest = self.serve_one(c, rest)
        except OSError:
            pass
        finally:
            with self.lock:
                self.conns.discard(c)
                self.changed.notify_all()
            c.close()

    def serve_one(self, c, buf):
        """One request, of which buf has been read; returns what came after it, None if nothing more may follow."""
        head, record, buf = self.read_head(c, buf)
        if head is None:
            return None
        msg, pos, kind, n = head
        with self.lock:
            step = record.step()
        early = step.get("when") == "headers"
        if msg.version == b"HTTP/1.1" and not early and not step.get("no_continue") and \
                any(v.lower() == b"100-continue" for v in msg.get(b"expect")):
            c.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if early:
            play(c, step["send"], record.over)
            if step.get("close"):
                self.note(record, msg, partial=True)
                c.shutdown(socket.SHUT_RDWR)
                return None
        rest = self.read_body(c, buf, pos, kind, n, msg, record)
        if rest is None:
            return None
        if not early:
            play(c, step.get("send", []), record.over)
            if c.fileno() < 0:
                return None
        if step.get("tunnel"):
            self.echo(c, rest, msg)
            return None
        if step.get("close"):
            self.close(c)
            return None
        return rest

    def read_head(self, c, buf):
        """((message, where its body begins, framing, length), record, bytes read); no message if none came."""
        record = None
        while True:
            while buf.startswith(b"\r\n"):
                buf = buf[2:]
            if buf and record is None:
                with self.lock:
                    record = self.record
            try:
                head = parse_request(buf)
                if head[0].target.startswith(QUIET):
                    record = Record([])  # nobody reads it
                return head, record, buf
            except Need:
                pass
            except Bad as e:
                self.note(record, buf, partial=True, faults=[str(e)])
                c.sendall(REFUSAL)
                return None, record, buf
            data = c.recv(262144)
            if not data and buf:
                self.note(record, buf, partial=True)
            buf += data
            if not data or len(buf) > 8 << 20:
                return None, record, buf

    def read_body(self, c, buf, pos, kind, n, msg, record):
        """What came after the body, None if it broke off or cannot be read."""
        chunks, size, eof = [buf], len(buf), False
        while True:
            # A body of known length is joined once, not with every segment.
            if kind != "length" or size - pos >= n or eof:
                buf = b"".join(chunks)
                chunks = [buf]
                try:
                    used = finish_body(buf, pos, kind, n, msg, eof)
                    break
                except Need:
                    if eof:
                        msg.truncated = True
                        self.note(record, msg, partial=True, faults=msg.faults)
                        return None
                except Bad as e:
                    self.note(record, msg, partial=True, faults=[str(e)])
                    return None
            data = c.recv(262144)
            eof = not data
            chunks.append(data)
            size += len(data)
        self.note(record, msg, faults=msg.faults)
        return buf[used:]

    def note(self, record, what, partial=False, faults=()):
        with self.lock:
            (record.partial if partial else record.seen).append(what)
            record.faults += faults
            self.changed.notify_all()

    def echo(self, c, got, msg):
        if got:
            c.sendall(got)
        while True:
            data = c.recv(65536)
            if not data:
                return
            got += data
            msg.tunnel = got
            c.sendall(data)

    @staticmethod
    def close(c):
        try:
            c.shutdown(socket.SHUT_WR)
            c.settimeout(0.5)
            while c.recv(65536):
                pass
        except OSError:
            pass
