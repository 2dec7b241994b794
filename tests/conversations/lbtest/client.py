"""A scripted client: raw bytes out, strict answers in."""
import socket

from .wire import Wire


class Client(Wire):
    def __init__(self, story, address, who, receive_buffer=None):
        local = isinstance(address, str)  # the path of a unix socket
        sock = socket.socket(socket.AF_UNIX if local else socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        story.closes(sock)
        super().__init__(story, sock, who)
        sock.connect(address)
        self.note(f"connects to {address}" if local else f"connects to {address[0]} port {address[1]}")
        self.asked = []  # methods whose answers are still to come

    @property
    def address(self):
        return self.sock.getsockname()

    def ask(self, method, target="/", fields=(), body=None, version="1.1", host="test"):
        """Sends one request and does not wait. A body given as bytes goes out with its length."""
        lines = [f"{method} {target} HTTP/{version}"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines += [f"{name}: {value}" for name, value in dict(fields).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.asked.append(method)
        self.send(head.encode("latin-1") + (body or b""))

    def answer(self, to=None):
        """The next final answer, with its body; interim ones are collected in .interim."""
        method = to or (self.asked.pop(0) if self.asked else "GET")
        interim = []
        while True:
            message = self.head()
            assert message.status is not None, f"{self.who}: a request came where an answer belongs: {message!r}"
            if message.status >= 200:
                break
            interim.append(message)
        message.interim = interim
        self.last = message
        return self.body_of(message, answers=method)

    def get(self, target="/", fields=(), **more):
        self.ask("GET", target, fields, **more)
        return self.answer()

    def post(self, target="/", body=b"", fields=(), **more):
        self.ask("POST", target, fields, body=body, **more)
        return self.answer()
