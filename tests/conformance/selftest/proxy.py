"""A proxy in which one thing can be made wrong: what the runner of the cases must catch.

Sound without a flaw, for the cases of selftest.jsonl; it buffers whole messages and keeps no connection to a backend. One thread
accepts for all lanes and, before it hands a connection over, does what was put off: so what is done late is done before
a later pulse is answered, however busy the machine is. Never listens but on loopback.
"""
import contextlib
import selectors
import socket
import threading

from conform.wire import Bad, Need, finish_body, parse_request, parse_responses

REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
HOP = {b"connection", b"keep-alive", b"te", b"upgrade", b"transfer-encoding", b"content-length"}


class Proxy:
    def __init__(self, backend_ports, flaw=""):
        self.flaw = flaw
        self.put_off = []
        self.broken = set()  # lanes whose next connection is dropped
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.listeners = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in backend_ports]
        self.addresses = [each.getsockname() for each in self.listeners]
        self.ports = dict(zip(self.listeners, backend_ports))
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def end(self):
        self.stop.set()
        with socket.create_connection(self.addresses[0]):
            self.thread.join()
        for each in self.listeners:
            each.close()

    def accept(self):
        with selectors.DefaultSelector() as selector:
            for each in self.listeners:
                selector.register(each, selectors.EVENT_READ)
            while not self.stop.is_set():
                for key, _ in selector.select():
                    sock, _ = key.fileobj.accept()
                    with self.lock:
                        late = [act for turns, act in self.put_off if turns == 0]
                        self.put_off = [(turns - 1, act) for turns, act in self.put_off if turns > 0]
                    for act in late:
                        with contextlib.suppress(OSError):
                            act()
                    threading.Thread(target=self.serve, args=(sock, self.ports[key.fileobj]), daemon=True).start()

    def later(self, act, turns=0):
        """Before a connection is served that comes so many after the next."""
        with self.lock:
            self.put_off.append((turns, act))

    def serve(self, sock, port):
        with sock, contextlib.suppress(OSError):
            with self.lock:
                if port in self.broken:
                    self.broken.discard(port)
                    return
            buf = b""
            while buf is not None:
                buf = self.serve_one(sock, port, buf)

    def serve_one(self, sock, port, buf):
        """One request; returns what came after it, None if the connection ends."""
        while True:
            try:
                msg, pos, kind, n = parse_request(buf)
                end = finish_body(buf, pos, kind, n, msg, False)
                break
            except Need:
                data = sock.recv(65536)
                if not data:
                    return None
                buf += data
            except Bad:
                return self.refuse(sock, port, buf)
        raw, rest = buf[:end], buf[end:]
        plain = msg.target == b"/__sanity"  # somebody who is wrong in everything would not be a proxy
        if msg.faults and not self.lets_pass(msg.faults):
            return self.refuse(sock, port, raw)
        if self.flaw == "never answers" and not plain:
            return rest
        answer, truncated = self.ask(port, raw if msg.faults else self.head(msg) + msg.body)
        ends = truncated or b"close" in msg.get(b"connection") and (plain or self.flaw != "ignores Connection: close")
        if not plain:
            answer = self.spoil(answer, sock, ends)
        sock.sendall(answer)
        return None if ends else rest

    def lets_pass(self, faults):
        return self.flaw == "relays " + faults[0]

    def refuse(self, sock, port, raw):
        if self.flaw == "sends the start of what it refuses":
            with socket.create_connection(("127.0.0.1", port)) as backend:
                backend.sendall(raw[:-1])
                backend.shutdown(socket.SHUT_WR)
                backend.recv(100)
        if self.flaw == "forwards what it refused":
            self.later(lambda: self.ask(port, b"GET /refused HTTP/1.1\r\nHost: lb.test\r\n\r\n"))
        if self.flaw == "is broken after a refusal":
            with self.lock:
                self.broken.add(port)
        sock.sendall(REFUSAL.replace(b"400", b"500") if self.flaw == "refuses with another status" else REFUSAL)
        if self.flaw == "leaves open what it refused":
            sock.recv(1)
        return None

    def head(self, msg):
        gone = HOP | {name.strip().lower() for value in msg.get(b"connection") for name in value.split(b",")}
        if self.flaw == "relays hop-by-hop fields":
            gone = {b"content-length", b"transfer-encoding"}
        fields = [(name, value) for name, value in msg.headers if name not in gone and name != b"x-forwarded-for"]
        addresses = msg.get(b"x-forwarded-for")
        if not (addresses and self.flaw == "believes X-Forwarded-For"):
            addresses = [*addresses, b"127.0.0.1"]
        fields.append((b"x-forwarded-for", b", ".join(addresses)))
        if msg.framing != "none":
            fields.append((b"content-length", b"%d" % len(msg.body)))
        if self.flaw == "changes the body":
            msg.body = msg.body.upper()
        lines = [b" ".join((msg.method, msg.target, b"HTTP/1.1")), *(b": ".join(field) for field in fields), b"", b""]
        return b"\r\n".join(lines)

    def ask(self, port, request):
        """(the backend's answer, whether it broke off)."""
        with socket.create_connection(("127.0.0.1", port)) as backend:
            backend.sendall(request)
            answer = b""
            while True:
                data = backend.recv(65536)
                answer += data
                finals = parse_responses(answer, ["GET"], not data)[0]
                if finals and finals[0].complete or not data:
                    break
        if finals and finals[0].truncated and self.flaw == "completes what broke off":
            body = finals[0].body
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body, False
        return answer, not data

    def spoil(self, answer, sock, ends):
        if self.flaw == "answers twice":
            return answer * 2
        if self.flaw == "answers again later" and not ends:
            self.later(lambda: sock.sendall(answer), turns=1)
        if self.flaw == "adds bytes":
            return answer + b"and more"
        if self.flaw == "ends lines with LF":
            return answer.replace(b"\r\n", b"\n", 1)
        return answer
