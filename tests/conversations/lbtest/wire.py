"""One end of a TCP connection whose every byte goes into the transcript, and strict reading of HTTP/1 messages.

The reader here is deliberately unforgiving: what it refuses, no real server or client should have to understand.
"""
import re
import socket
import struct

PATIENCE = 10.0  # seconds that a read waits before the test fails; nothing in a passing test comes near it

START_LINE = re.compile(rb"(HTTP/1\.[01] [1-5][0-9][0-9]( [^\r\n]*)?|[!-~]+ [!-~]+ HTTP/1\.[01])")
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*", re.DOTALL)


class Ended(Exception):
    """The other side closed the connection before the message was complete."""


class Reset(Ended):
    """It did so with a reset."""


class Silent(AssertionError):
    """The other side said nothing for longer than a test may take."""


class Malformed(AssertionError):
    """What came is no HTTP/1."""


class Message:
    """A request or a response as it came: first line, fields in order, body."""

    def __init__(self, line, fields):
        self.line = line
        self.fields = fields
        self.body = b""
        self.chunks = None       # payload sizes of a chunked body
        self.trailers = []
        self.until_close = False
        first, second, *_ = line.split(" ", 2) + [""]
        self.method, self.target = first, second
        self.status = int(second) if line.startswith("HTTP/") else None

    def get(self, name, default=None):
        found = self.all(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else default

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def names(self):
        return [key.lower() for key, _ in self.fields]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.line} {self.fields} {len(self.body)} bytes {self.body[:60]!r}>"


class Wire:
    """A connected socket with a transcript. `who` names it there."""

    def __init__(self, story, sock, who):
        self.story, self.sock, self.who = story, sock, who
        self.buffer = bytearray()
        self.ended = False
        sock.settimeout(PATIENCE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def note(self, what):
        self.story.note(self.who, what)

    def send(self, data):
        data = data.encode("latin-1") if isinstance(data, str) else data
        self.note(("sends", data))
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            self.note("could not send: it was closed")
            raise Reset(f"{self.who}: {error}") from error
        except TimeoutError as error:
            raise Silent(f"{self.who}: the other side takes no bytes") from error

    def finish(self):
        """Sends our FIN and goes on reading."""
        self.note("half-closes")
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.note("closes")
        self.sock.close()

    def reset(self):
        self.note("resets")
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self):
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError as error:
            self.ended = True
            self.note("sees a reset")
            raise Reset(f"{self.who}: reset by the other side") from error
        except TimeoutError as error:
            self.note(f"hears nothing for {PATIENCE:g} s")
            raise Silent(f"{self.who}: nothing came for {PATIENCE:g} s; so far {bytes(self.buffer[:200])!r}") from error
        if not data:
            self.ended = True
            self.note("sees the end")
            raise Ended(f"{self.who}: closed by the other side; before that {bytes(self.buffer[:200])!r}")
        self.note(("receives", data))
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self._more()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def take_through(self, mark):
        start = 0
        while (at := self.buffer.find(mark, start)) < 0:
            start = max(0, len(self.buffer) - len(mark))
            self._more()
        return self.take(at + len(mark))

    def take_rest(self):
        """Everything until the other side closes."""
        try:
            while True:
                self._more()
        except Reset:
            raise
        except Ended:
            data = bytes(self.buffer)
            self.buffer.clear()
            return data

    def expect_end(self):
        """The other side closes, in order, and sends nothing before it."""
        rest = self.take_rest()
        assert not rest, f"{self.who}: bytes before the end: {rest[:200]!r}"

    def expect_gone(self):
        """The other side closes or resets; what it sent before does not matter."""
        try:
            self.take_rest()
        except Reset:
            pass

    def head(self):
        raw = self.take_through(b"\r\n\r\n")
        first, *lines = raw[:-4].split(b"\r\n")
        if not START_LINE.fullmatch(first):
            raise Malformed(f"{self.who}: first line {first!r}")
        return Message(first.decode("latin-1"), self._fields(lines))

    def _fields(self, lines):
        fields = []
        for line in lines:
            match = FIELD.fullmatch(line)
            if not match or b"\n" in line or b"\r" in line or b"\0" in line:
                raise Malformed(f"{self.who}: field line {line!r}")
            fields.append((match[1].decode("latin-1"), match[2].decode("latin-1")))
        return fields

    def body_of(self, message, answers=None, into=None):
        """Reads the body that belongs to a head. `answers` is the method a response answers. What came before a cut
        stays in message.body."""
        lengths, codings = message.all("Content-Length"), message.all("Transfer-Encoding")
        assert not (lengths and codings), f"{self.who}: both framings in {message!r}"
        pieces = bytearray()
        try:
            if message.status is not None and (answers == "HEAD" or message.status in (204, 304) or message.status < 200):
                return message
            if codings:
                assert [c.lower() for c in codings] == ["chunked"], f"{self.who}: {codings}"
                message.chunks = []
                while True:
                    size_line = self.take_through(b"\r\n")[:-2]
                    assert re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size_line), f"{self.who}: chunk line {size_line!r}"
                    size = int(size_line, 16)
                    if size == 0:
                        break
                    while size:
                        step = min(size, max(1, len(self.buffer)))
                        pieces += self.take(step)
                        size -= step
                    message.chunks.append(int(size_line, 16))
                    assert self.take(2) == b"\r\n", f"{self.who}: no CRLF after a chunk"
                while (line := self.take_through(b"\r\n")[:-2]):
                    message.trailers += self._fields([line])
            elif lengths:
                assert len(lengths) == 1 and lengths[0].isdigit(), f"{self.who}: lengths {lengths}"
                left = int(lengths[0])
                while left:
                    step = min(left, max(1, len(self.buffer)))
                    pieces += self.take(step)
                    left -= step
            elif message.status is not None:
                message.until_close = True
                pieces += self.take_rest()
        finally:
            message.body = bytes(pieces)
        return message
