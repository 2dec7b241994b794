"""One test: what it made, what was said on each side, and how it is cleared away."""
import contextlib
import os
import random
import shutil
import socket
import tempfile
import threading
import time

from .backends import Backend, Gate, answers_its_name
from .balancer import Lb, run
from .client import Client
from .service import Service

SHOWN = 300  # bytes of one send or receive that the transcript prints


class ListeningSocket:
    """A socket bound and listening before lb starts; its str() is what `bind =` takes."""

    def __init__(self, story, family=socket.AF_INET):
        self.sock = socket.socket(family)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self.sock.listen(1024)
        self.address = self.sock.getsockname()[:2]
        self.port = self.address[1]
        story.closes(self.sock)

    def __str__(self):
        return f"fd:{self.sock.fileno()}"


class Story:
    def __init__(self, binary):
        self.binary = binary
        self.changed = threading.Condition()  # notified by every thread of the test and by every line of lb's log
        self._started = time.monotonic()
        self._transcript = []
        self._failures = []
        self._sockets = []
        self._balancers = []
        self._names = {}
        self.directory = tempfile.mkdtemp(prefix="lb-story-")
        # Started as root, lb becomes another user before it opens its files.
        os.chmod(self.directory, 0o777)

    # -- what a test makes

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def data(name):
        """A file of tests/data."""
        return os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data", name))

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def read(self, name):
        """The text of a file, "" while there is none."""
        try:
            with open(self.path(name), encoding="utf-8", newline="") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def backend(self, name=None, script=answers_its_name, **more):
        return Backend(self, name or self._next("s"), script, **more)

    def refusing(self, name=None):
        """A backend that refuses connections until told to listen."""
        return Backend(self, name or self._next("refusing"), answers_its_name, listening=False)

    def gate(self):
        return Gate()

    def socket(self, family=socket.AF_INET):
        return ListeningSocket(self, family)

    def lb(self, text="", **more):
        balancer = Lb(self, text, **more)
        self._balancers.append(balancer)
        return balancer

    def service(self, text, **more):
        """A service manager with a configuration of lb to start."""
        return Service(self, text, **more)

    def run(self, *arguments, **more):
        """Runs lb to its end and returns the Outcome."""
        outcome = run(self, *arguments, **more)
        self.note("shell", f"lb {' '.join(map(str, arguments))}: {outcome!r}")
        return outcome

    def free_port(self):
        """A port of 127.0.0.1 that nobody has, below the range from which the kernel gives ports to clients. Only for
        what cannot inherit a socket."""
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            top = int(file.read().split()[0])
        for _ in range(1000):
            port = random.randrange(max(1024, top - 20000), top)
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
        raise AssertionError("no free port")

    def client(self, to, name=None, **more):
        """A client of a balancer's listener, or of any (host, port)."""
        address = to.address if hasattr(to, "address") else to
        return Client(self, address, name or self._next("c"), **more)

    def get(self, to, target="/", fields=(), **more):
        """One request on a connection of its own."""
        client = self.client(to)
        answer = client.get(target, fields, **more)
        client.close()
        return answer

    def _next(self, letter):
        self._names[letter] = self._names.get(letter, 0) + 1
        return f"{letter}{self._names[letter]}"

    # -- waiting

    def wait(self, condition, what, within=10.0):
        """Until condition() is true; it is asked again whenever something was said, and every few milliseconds for
        what lives outside of this process. Returns what it returned and fails after `within` seconds."""
        end = time.monotonic() + within
        with self.changed:
            while True:
                # Released while asking: the condition may itself talk to lb.
                self.changed.release()
                try:
                    value = condition()
                finally:
                    self.changed.acquire()
                if value:
                    return value
                left = end - time.monotonic()
                assert left > 0, f"waited {within:g} s in vain: {what}"
                self.changed.wait(min(left, 0.01))

    @contextlib.contextmanager
    def lasts(self, at_least=0.0, at_most=10.0):
        """What is inside takes so many seconds."""
        begin = time.monotonic()
        yield
        took = time.monotonic() - begin
        assert at_least <= took <= at_most, f"took {took:.3f} s, not {at_least:g} to {at_most:g}"

    # -- bookkeeping

    def note(self, who, what):
        self._transcript.append((time.monotonic() - self._started, who, what))

    def fails(self, why):
        with self.changed:
            self._failures.append(why)
            self.changed.notify_all()

    def closes(self, sock):
        self._sockets.append(sock)

    def end(self):
        """Ends everything; returns what went wrong outside of the test function."""
        for balancer in self._balancers:
            try:
                balancer.end()
            except AssertionError as error:
                self.fails(str(error))
        for sock in self._sockets:
            try:
                sock.close()
            except OSError:
                pass
        return self._failures

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def transcript(self):
        out = []
        for at, who, what in self._transcript:
            if isinstance(what, tuple):
                verb, data = what
                shown = repr(bytes(data[:SHOWN]))[1:] + (f" ... {len(data)} bytes" if len(data) > SHOWN else "")
                what = f"{verb} {shown}"
            out.append(f"{at:8.3f}  {who:<10} {what}")
        for balancer in self._balancers:
            out += ["", f"{balancer.who} was run as: {' '.join(balancer.argv)}"]
            out += [f"    {line}" for line in balancer.config.splitlines()]
            out += [f"{balancer.who} wrote:"] + [f"    {line}" for line in balancer.log]
        return "\n".join(out)
