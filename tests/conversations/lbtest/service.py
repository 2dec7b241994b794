"""A service manager as lb sees one: hears sd_notify(3), keeps descriptors, hands them to the next lb it starts."""
import os
import select
import socket
import sys
import threading

from .balancer import complete, parse_sections

# Becomes lb, with the descriptors at 3 and above, as sd_listen_fds(3) has it.
LAUNCHER = """
import os, sys
wanted = [int(fd) for fd in sys.argv[1].split(",") if fd]
copies = [os.dup(fd) for fd in wanted]
spare = max([2 + len(wanted), *copies]) + 1
high = [os.dup2(fd, spare + i) for i, fd in enumerate(copies)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
os.closerange(3 + len(wanted), max([spare + len(wanted), *wanted]) + 1)
if wanted:
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(wanted))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Service:
    """What systemd does for lb.service, as far as lb can tell.

    text      the configuration, with the listeners' addresses; control socket, pid file and log are laid under it
    keeps     whether descriptors are kept
    """

    def __init__(self, story, text, keeps=True, workers=2, environment=None):
        self.story, self.keeps, self.workers = story, keeps, workers
        self.environment = environment or {}
        self.hears = threading.Event()  # cleared: messages stay where they are
        self.hears.set()
        self.said = []   # (pid is not told) each message as {key: value}
        self.store = []  # [(name, descriptor)], in the order they came
        self.control, self.pid_file = story.path("service.sock"), story.path("service.pid")
        self.config_path = story.path("service.ini")
        self.configure(text)
        self._path = story.path("notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._path)
        os.chmod(self._path, 0o777)
        story.closes(self._socket)
        threading.Thread(target=self._listen, daemon=True).start()

    def configure(self, text):
        defaults = {"[global]": {"workers": self.workers, "control": self.control, "pid_file": self.pid_file,
                                 "error_log": "stderr info"}, "[admin]": {"bind": "off"}}
        if "[pool app]" in [header for header, _ in parse_sections(text)]:
            defaults["[pool app]"] = {"check": "off"}
        self.story.write("service.ini", complete(text, defaults))

    def start(self, ready=True):
        """Starts an lb and hands it what is kept. The descriptors stay here, as systemd's do."""
        kept = self.kept()
        environment = {"NOTIFY_SOCKET": self._path, **self.environment}
        if kept:
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in kept)
        mark = len(self.said)
        balancer = self.story.lb(
            argv=["-c", self.config_path], workers=self.workers, environment=environment, ready=False,
            launcher=[sys.executable, "-c", LAUNCHER, ",".join(str(fd) for _, fd in kept)],
            descriptors=[fd for _, fd in kept])
        balancer.config_path, balancer.control, balancer.pid_file = self.config_path, self.control, self.pid_file
        if ready:
            self.wait_said("READY", "1", since=mark)
        return balancer

    def kept(self):
        """[(name, descriptor)], without those whose other end is gone: systemd drops them by itself."""
        with self.story.changed:
            for each in list(self.store):
                poll = select.poll()
                poll.register(each[1], 0)
                if poll.poll(0):
                    self.store.remove(each)
                    os.close(each[1])
            return list(self.store)

    def lose(self, name):
        with self.story.changed:
            for each in [each for each in self.store if each[0] == name]:
                self.store.remove(each)
                os.close(each[1])

    def names(self, part):
        return [name for name, _ in self.kept() if part in name]

    def stop(self):
        """The service is no more: what was kept is let go."""
        with self.story.changed:
            for _, fd in self.store:
                os.close(fd)
            self.store.clear()

    def wait_said(self, key, value=None, since=0, within=10.0):
        """The first message that has this key, with this value or one that holds it."""
        def found():
            return next((m for m in self.said[since:] if key in m and (value is None or value in m[key])), None)
        return self.story.wait(found, f"lb tells its manager {key}={value}", within)

    def _has(self, fd):
        """Systemd keeps one copy of a file, by the first name it came with."""
        return any(os.path.sameopenfile(fd, other) for _, other in self.store)

    def _listen(self):
        while True:
            self.hears.wait()
            try:
                data, fds, _, _ = socket.recv_fds(self._socket, 8192, 16)
            except OSError:
                return
            message = dict(line.split("=", 1) for line in data.decode().split("\n") if line)
            with self.story.changed:
                self.said.append(message)
                name = message.get("FDNAME")
                if "FDSTOREREMOVE" in message:
                    self.lose(name)
                for fd in fds:
                    if "FDSTORE" in message and self.keeps and not self._has(fd):
                        self.store.append((name, fd))
                    else:
                        os.close(fd)
                self.story.changed.notify_all()
