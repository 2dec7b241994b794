"""Scripted backends. A script is a function of one accepted connection and runs in a thread of its own."""
import os
import socket
import threading

from .wire import PATIENCE, Ended, Wire


class Gate:
    """Something a backend waits for until the test says go."""

    def __init__(self):
        self._event = threading.Event()

    def open(self):
        self._event.set()

    def wait(self):
        assert self._event.wait(PATIENCE), "a gate was never opened"


class Connection(Wire):
    """One connection as the backend sees it."""

    def __init__(self, backend, sock, number):
        super().__init__(backend.story, sock, f"{backend.name}#{number}")
        self.backend, self.number = backend, number

    def request(self):
        """The next request with its body, noted in backend.requests; one for the check's path in backend.checks."""
        message = self.head()
        assert message.status is None, f"{self.who}: an answer came where a request belongs"
        self.body_of(message)
        return self.received(message)

    def received(self, message):
        message.connection = self.number
        backend = self.backend
        kept = backend.checks if message.target == backend.check_path else backend.requests
        with backend.story.changed:
            kept.append(message)
            backend.story.changed.notify_all()
        return message

    def answer(self, status=200, body=None, fields=(), reason="Reason", to=None):
        body = self.backend.name.encode() if body is None else body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} {reason}"] + [f"{name}: {value}" for name, value in dict(fields).items()]
        if status not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        method = to or (self.backend.requests or self.backend.checks)[-1].method
        self.send(head + (b"" if method == "HEAD" or status in (204, 304) else body))


def answers_its_name(connection):
    """What a backend does unless told otherwise: 200 with its name, for ever."""
    while True:
        request = connection.request()
        if request.target == connection.backend.check_path:
            connection.answer(connection.backend.check_status, "check", to=request.method)
        else:
            connection.answer(200, to=request.method)


class Backend:
    """A listening address with a script behind it. str() of it is what a configuration names."""

    def __init__(self, story, name, script=answers_its_name, family=socket.AF_INET, listening=True):
        self.story, self.name, self.script = story, name, script
        self.requests, self.checks = [], []
        self.check_path, self.check_status = "/healthz", 200
        self.connections = 0
        self.open = set()
        self.family = family
        # Bound for the whole story and never listening: nobody else gets the port while nobody listens on it.
        self.path = story.path(f"{name}.sock") if family == socket.AF_UNIX else None
        if self.path is None:
            self._holder = socket.socket(family)
            self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._holder.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
            self.port = self._holder.getsockname()[1]
            story.closes(self._holder)
        self._listener = None
        if listening:
            self.listens()

    def __str__(self):
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[::1]:{self.port}" if self.family == socket.AF_INET6 else f"127.0.0.1:{self.port}"

    def listens(self):
        """Until this is called, and after dies(), connections are refused."""
        self._listener = socket.socket(self.family)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(self._holder.getsockname() if self.path is None else self.path)
        if self.path is not None:
            os.chmod(self.path, 0o666)  # started as root, lb becomes another user before it connects
        self._listener.listen(1024)
        self.story.closes(self._listener)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def dies(self):
        """Refuses from now on and cuts what is open."""
        # shutdown first: closing alone would not wake the thread in accept, which keeps the socket alive.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self.path is not None:
            os.unlink(self.path)
        with self.story.changed:
            connections, self.open = list(self.open), set()
        for connection in connections:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.story.closes(sock)
            with self.story.changed:
                number = self.connections
                self.connections += 1
                connection = Connection(self, sock, number)
                self.open.add(connection)
                self.story.changed.notify_all()
            connection.note("is accepted")
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.script(connection)
        except (Ended, OSError, ValueError):
            pass  # the other side ended it, or the test is over: what it means is for the test to say
        except BaseException as error:  # noqa: B902 - whatever a script does wrong fails the test
            self.story.fails(f"{connection.who}: {type(error).__name__}: {error}")
        finally:
            with self.story.changed:
                self.open.discard(connection)
                self.story.changed.notify_all()
            try:
                connection.sock.close()
            except OSError:
                pass
