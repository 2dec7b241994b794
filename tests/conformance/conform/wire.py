"""HTTP/1.x messages read as strictly as the RFCs allow: what is odd about one is a fault, what has no single reading is Bad.

Never repairs or guesses: a byte that a lenient parser would forgive is what the cases are about.
"""
import re

TOKEN = re.compile(rb"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
DIGITS = re.compile(rb"^[0-9]+\Z")
HEX = re.compile(rb"^[0-9A-Fa-f]{1,16}\Z")
TARGET = re.compile(rb"^[\x21\x22\x24-\x7e]+\Z")      # visible ASCII without '#'
HOSTVAL = re.compile(rb"^([A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.vV]+\])(:[0-9]*)?\Z")


def b(s):
    return s.encode("latin-1")


def show(data, limit=160):
    s = data.decode("latin-1").encode("unicode_escape").decode("ascii")
    return s if len(s) <= limit else s[:limit] + "...(%d bytes)" % len(data)


class Bad(Exception):
    pass


class Need(Exception):
    pass


class Msg:
    def __init__(self):
        self.start = b""
        self.headers = []          # (name lower, value)
        self.body = b""
        self.trailers = []
        self.complete = False
        self.truncated = False
        self.framing = "none"
        self.faults = []
        self.method = self.target = self.version = b""
        self.status = None
        self.tunnel = b""

    def get(self, name):
        return [v for n, v in self.headers if n == name]


def parse_fields(block, faults, what):
    out = []
    for line in block.split(b"\r\n"):
        if line == b"":
            continue
        if b"\n" in line:
            faults.append("bare LF in %s" % what)
        if b"\r" in line:
            faults.append("bare CR in %s" % what)
        if b"\x00" in line:
            faults.append("NUL in %s" % what)
        if line[:1] in b" \t":
            faults.append("line folding in %s" % what)
            continue
        name, colon, value = line.partition(b":")
        if not colon:
            faults.append("field line without colon in %s" % what)
            continue
        if not TOKEN.match(name):
            faults.append("field name %r is no token" % show(name, 40))
        out.append((name.strip().lower(), value.strip(b" \t")))
    return out


def split_head(buf):
    end = buf.find(b"\r\n\r\n")
    if end < 0:
        raise Need()
    return buf[:end], end + 4


def parse_chunked(buf, pos, msg):
    """Strict chunked decoding; extensions tolerated if well formed."""
    out = []
    while True:
        eol = buf.find(b"\r\n", pos)
        if eol < 0:
            if b"\n" in buf[pos:pos + 4096]:
                raise Bad("bare LF in chunk line")
            msg.body = b"".join(out)
            raise Need()
        line = buf[pos:eol]
        size, semi, ext = line.partition(b";")
        if b"\n" in line or b"\r" in line or b"\x00" in line:
            raise Bad("control byte in chunk line")
        if not HEX.match(size.rstrip(b" \t") if semi else size):
            raise Bad("chunk size %r" % show(size, 40))
        n = int(size.strip(b" \t"), 16)
        pos = eol + 2
        if n == 0:
            break
        if len(buf) < pos + n + 2:
            out.append(buf[pos:pos + n])
            msg.body = b"".join(out)
            raise Need()
        out.append(buf[pos:pos + n])
        if buf[pos + n:pos + n + 2] != b"\r\n":
            raise Bad("chunk data not followed by CRLF")
        pos += n + 2
    msg.body = b"".join(out)
    if buf[pos:pos + 2] == b"\r\n":
        return pos + 2
    end = buf.find(b"\r\n\r\n", pos)
    if end < 0:
        raise Need()
    msg.trailers = parse_fields(buf[pos:end], msg.faults, "trailer section")
    return end + 4


def framing(msg, is_request):
    """Returns ('none'|'length'|'chunked'|'close', n); records faults."""
    cls, tes = msg.get(b"content-length"), msg.get(b"transfer-encoding")
    if tes:
        if cls:
            msg.faults.append("Content-Length together with Transfer-Encoding")
        if msg.version == b"HTTP/1.0":
            msg.faults.append("Transfer-Encoding in an HTTP/1.0 message")
        codings = [c.strip(b" \t").lower() for c in b",".join(tes).split(b",")]
        if len(tes) > 1:
            msg.faults.append("several Transfer-Encoding lines")
        if b"" in codings or not all(TOKEN.match(c) for c in codings):
            msg.faults.append("malformed Transfer-Encoding %r" % show(b",".join(tes), 60))
        if codings[-1:] == [b"chunked"] and codings.count(b"chunked") == 1:
            return "chunked", 0
        if is_request:
            raise Bad("request Transfer-Encoding does not end in one chunked: %r" % show(b",".join(tes), 60))
        return "close", 0
    if cls:
        if len(cls) > 1:
            msg.faults.append("several Content-Length lines")
        if not DIGITS.match(cls[0]) or len(cls[0]) > 19:
            raise Bad("Content-Length %r" % show(cls[0], 40))
        return "length", int(cls[0])
    return ("none" if is_request else "close"), 0


def parse_request(buf):
    msg = Msg()
    head, pos = split_head(buf)
    line, _, rest = head.partition(b"\r\n")
    msg.start = line
    parts = line.split(b" ")
    if len(parts) != 3:
        raise Bad("request line %r" % show(line, 80))
    msg.method, msg.target, msg.version = parts
    if not TOKEN.match(msg.method):
        msg.faults.append("method %r" % show(msg.method, 40))
    if not TARGET.match(msg.target):
        msg.faults.append("request target %r" % show(msg.target, 60))
    if msg.version not in (b"HTTP/1.1", b"HTTP/1.0"):
        msg.faults.append("version %r" % show(msg.version, 20))
    msg.headers = parse_fields(rest, msg.faults, "header section")
    hosts = msg.get(b"host")
    if len(hosts) > 1:
        msg.faults.append("several Host lines")
    if msg.version == b"HTTP/1.1" and not hosts:
        msg.faults.append("HTTP/1.1 request without Host")
    if hosts and not HOSTVAL.match(hosts[0]):
        msg.faults.append("Host value %r" % show(hosts[0], 60))
    kind, n = framing(msg, True)
    msg.framing = kind
    return msg, pos, kind, n


def finish_body(buf, pos, kind, n, msg, eof):
    if kind == "none":
        pass
    elif kind == "length":
        msg.body = buf[pos:pos + n]
        if len(buf) < pos + n:
            raise Need()
        pos += n
    elif kind == "chunked":
        pos = parse_chunked(buf, pos, msg)
    else:
        msg.body = buf[pos:]
        if not eof:
            raise Need()
        pos = len(buf)
    msg.complete = True
    return pos


def parse_responses(buf, methods, eof):
    """All responses in buf.  Returns (finals, interims, leftover, faults)."""
    finals, interims, faults = [], [], []
    pos = 0
    while pos < len(buf):
        rest = buf[pos:]
        msg = Msg()
        try:
            head, hlen = split_head(rest)
        except Need:
            break
        line, _, fields = head.partition(b"\r\n")
        m = re.match(rb"^(HTTP/1\.[01]) ([1-9][0-9]{2})( [\t\x20-\x7e\x80-\xff]*)?\Z", line)
        if not m:
            faults.append("status line %r" % show(line, 60))
            break
        msg.start, msg.version, msg.status = line, m.group(1), int(m.group(2))
        msg.headers = parse_fields(fields, msg.faults, "response header section")
        if 100 <= msg.status < 200 and msg.status != 101:
            if msg.get(b"content-length") or msg.get(b"transfer-encoding"):
                msg.faults.append("framing field in a 1xx response")
            interims.append(msg)
            faults += msg.faults
            pos += hlen
            continue
        method = methods[min(len(finals), len(methods) - 1)]
        if msg.status == 101:
            msg.complete, msg.tunnel = True, rest[hlen:]
            finals.append(msg)
            faults += msg.faults
            return finals, interims, b"", faults
        try:
            if msg.status == 204 and (msg.get(b"content-length") or msg.get(b"transfer-encoding")):
                msg.faults.append("framing field in a 204 response")
            kind, n = framing(msg, False)
            if method == "HEAD" or msg.status in (204, 304):
                kind, n = "none", 0
            msg.framing = kind
            used = finish_body(rest, hlen, kind, n, msg, eof)
        except Need:
            msg.truncated = True
            finals.append(msg)
            faults += msg.faults
            return finals, interims, b"", faults
        except Bad as e:
            msg.truncated = True
            finals.append(msg)
            faults += msg.faults + [str(e)]
            return finals, interims, b"", faults
        finals.append(msg)
        faults += msg.faults
        pos += used
    return finals, interims, buf[pos:], faults
