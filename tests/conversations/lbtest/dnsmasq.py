"""A real name server, and backends at addresses of their own for names to lead to."""
import os
import pwd
import shutil
import socket
import struct
import subprocess

from .backends import Backend

A = 1
PATIENCE = 10.0


def lookup(port, name, kind=A):
    """The addresses that the name server on a port of 127.0.0.1 gives, sorted; None while it does not answer."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        try:
            sock.connect(("127.0.0.1", port))
            sock.send(question)
            answer = sock.recv(4096)
        except OSError:
            return None
    count, at, found = struct.unpack(">H", answer[6:8])[0], len(question), []
    for _ in range(count):
        while answer[at] not in (0, 0xC0):
            at += answer[at] + 1
        at += 2 if answer[at] == 0xC0 else 1
        record, _, _, size = struct.unpack(">2HIH", answer[at:at + 10])
        at += 10
        if record == A:
            found.append(socket.inet_ntoa(answer[at:at + size]))
        at += size
    return sorted(found)


class NameServer:
    """dnsmasq for the domain `test`: what it does not know there does not exist. Answers live for a second.

    hosts     {name: [addresses]}
    services  [(name, target, port, priority, weight)]
    """

    def __init__(self, story, hosts=None, services=()):
        self.story = story
        self.port = story.free_port()
        self._hosts = story.path(f"hosts-{self.port}")
        self._process = None
        self._write(hosts or {})
        story.closes(self)
        self.starts(services)

    def __str__(self):
        """What `nameserver =` takes."""
        return f"127.0.0.1:{self.port}"

    @staticmethod
    def _binary():
        found = shutil.which("dnsmasq", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        assert found, "dnsmasq is not installed (dnsmasq-base)"
        return found

    def _write(self, hosts):
        lines = [f"{address} {name}\n" for name, addresses in hosts.items() for address in addresses]
        with open(self._hosts + ".new", "w", encoding="ascii") as file:
            file.write("".join(lines))
        os.rename(self._hosts + ".new", self._hosts)
        self.hosts = {name: sorted(addresses) for name, addresses in hosts.items()}

    def _answers(self):
        return all(lookup(self.port, name) == addresses for name, addresses in self.hosts.items()) and \
            lookup(self.port, "no-such-name.test") is not None

    def starts(self, services=()):
        me = pwd.getpwuid(os.geteuid()).pw_name
        arguments = [f"--srv-host={name},{target},{port},{priority},{weight}"
                     for name, target, port, priority, weight in services]
        self._process = subprocess.Popen(
            [self._binary(), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file",
             "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}", "--local=/test/", "--local-ttl=1",
             f"--addn-hosts={self._hosts}", f"--user={me}", "--log-facility=-", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.story.note("dns", f"starts on {self}: {self.hosts} {list(services)}")

        def ready():
            assert self._process.poll() is None, f"dnsmasq ended: {self._process.stderr.read().decode()}"
            return self._answers()
        self.story.wait(ready, "the name server answers", PATIENCE)

    def says(self, hosts):
        """From now on these names, and no others."""
        gone = [name for name in self.hosts if name not in hosts]
        self._write(hosts)
        self._process.send_signal(1)  # SIGHUP: it reads them anew
        self.story.note("dns", f"says {hosts}")
        self.story.wait(lambda: self._answers() and all(lookup(self.port, name) == [] for name in gone),
                        "the name server says so", PATIENCE)

    def dies(self):
        self.story.note("dns", "dies")
        self.close()

    def close(self):
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process.stderr.close()
            self._process = None

    def settings(self, more=""):
        """The section that makes lb ask here, with times that a test can wait for."""
        return f"[resolver default]\nnameserver = {self}\nttl = 200ms 5m\nstale = 1h\n{more}"


class Placed(Backend):
    """A backend at an address of 127.0.0.0/8 that is its own."""

    def __init__(self, story, name, host, port, **more):
        super().__init__(story, name, listening=False, **more)
        self.host = host
        self._holder.close()
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind((host, port))
        self.port = self._holder.getsockname()[1]
        story.closes(self._holder)

    def __str__(self):
        return f"{self.host}:{self.port}"


def placed(story, count, first=2):
    """So many backends on one port, at 127.0.0.2 and up, as the addresses of one name are. They listen."""
    for _ in range(100):
        port = story.free_port()
        made = []
        try:
            for i in range(first, first + count):
                made.append(Placed(story, f"s{i}", f"127.0.0.{i}", port))
        except OSError:
            continue
        for each in made:
            each.listens()
        return made
    raise AssertionError("no port is free at all of these addresses")
