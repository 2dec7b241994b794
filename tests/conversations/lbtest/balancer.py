"""The real binary: its configuration, its processes, its log and what it tells its operator."""
import contextlib
import json
import os
import re
import signal
import subprocess
import threading

from .client import Client

ENDING = float(os.environ.get("LB_STORY_PATIENCE", "20"))  # seconds that lb may take to end on SIGTERM

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
# What a sanitizer writes before it gives up.
SANITIZER = re.compile(r"(ERROR: (Address|Leak|UndefinedBehavior|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:)")


class Outcome:
    """How a command of lb ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def text(self):
        return self.out + self.err

    def __repr__(self):
        return f"status {self.status}\n-- standard output:\n{self.out}\n-- standard error:\n{self.err}"


def parse_sections(text):
    """[(header, [lines])] of a configuration; the part before the first header must be empty."""
    sections = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            sections.append((line, []))
        elif line:
            sections[-1][1].append(line)
    return sections


def complete(text, defaults):
    """Lays defaults {header: {key: value}} under a configuration: a key that the text has stays as it is."""
    sections = parse_sections(text)
    for header, keys in defaults.items():
        lines = next((lines for name, lines in sections if name == header), None)
        if lines is None:
            lines = []
            sections.append((header, lines))
        present = {re.split(r"\s*=", line)[0] for line in lines}
        lines += [f"{key} = {value}" for key, value in keys.items() if key not in present]
    return "".join(f"{header}\n" + "".join(f"{line}\n" for line in lines) + "\n" for header, lines in sections)


def pool(*backends, more=""):
    """The section of a pool named app with these backends, each as configured; `more` are further lines."""
    return "[pool app]\n" + "".join(f"backend = {each}\n" for each in backends) + more


def process_table():
    """{pid: (parent, session, title)} of all processes that live (no zombies)."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin-1") as file:
                    state, parent, _, session, *_ = file.read().rpartition(")")[2].split()
                with open(f"/proc/{entry}/cmdline", encoding="latin-1") as file:
                    title = file.read().replace("\0", " ").strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z":
                table[int(entry)] = (int(parent), int(session), title)
    return table


def descriptors(pid):
    """{number: what it is} of the descriptors a process has open. Those that it closes meanwhile are left out: it goes on while we look."""
    found = {}
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found[fd] = os.readlink(f"/proc/{pid}/fd/{fd}")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return found


class Lb:
    """One running balancer.

    text       the sections a story is about; listener, admin port, control socket and pid file are laid under it
    sockets    further listening sockets it inherits
    argv       run the binary so instead, without a configuration of ours
    launcher   a command that becomes lb, in front of it; `descriptors` are handed to it
    """

    def __init__(self, story, text="", sockets=(), argv=None, ready=True, admin=True, environment=None, workers=1,
                 launcher=(), descriptors=()):
        self.story = story
        self.who = story._next("lb")
        self.workers_wanted = workers
        self.log = []
        self.config = ""
        self.listener = self.admin_socket = None
        self._inherited = list(sockets)
        self._ended_as_wanted = False
        if argv is None:
            self.listener = story.socket()
            self._inherited.append(self.listener)
            if admin:
                self.admin_socket = story.socket()
                self._inherited.append(self.admin_socket)
            self.config_path = story.path(f"{self.who}.ini")
            self.control = story.path(f"{self.who}.sock")
            self.pid_file = story.path(f"{self.who}.pid")
            self.configure(text)
            argv = ["-c", self.config_path]
        self.argv = [*launcher, story.binary, *argv]
        self._environment = {**os.environ, "XDG_RUNTIME_DIR": story.directory,
                             "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1", **(environment or {})}
        self._process = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment,
            pass_fds=[*descriptors, *(each.sock.fileno() for each in self._inherited)], start_new_session=True, cwd=story.directory)
        self.pid = self._process.pid
        self.out = []
        self._all_gone = threading.Event()  # the last process that held our pipe of its standard error has ended
        threading.Thread(target=self._listen, args=(self._process.stderr, self.log, self._all_gone), daemon=True).start()
        threading.Thread(target=self._listen, args=(self._process.stdout, self.out, None), daemon=True).start()
        if ready:
            self.wait_ready()

    # -- configuration

    def configure(self, text):
        """Writes the file that the next start or reload reads."""
        defaults = {"[global]": {"workers": self.workers_wanted, "control": self.control, "pid_file": self.pid_file,
                                 "error_log": "stderr info"},
                    "[admin]": {"bind": self.admin_socket or "off"}}
        headers = [header for header, _ in parse_sections(text)]
        if not any(header.startswith("[listener ") for header in headers):
            defaults["[listener web]"] = {}
        for header in headers:
            if header == "[pool app]":
                defaults[header] = {"check": "off"}
        if "[listener web]" in defaults or "[listener web]" in headers:
            defaults["[listener web]"] = {"bind": self.listener}
            if "[pool app]" in headers:
                defaults["[listener web]"]["pool"] = "app"
        self.config = complete(text, defaults)
        self.story.write(os.path.basename(self.config_path), self.config)

    @property
    def address(self):
        return self.listener.address

    # -- processes

    def _listen(self, stream, lines, at_end):
        for line in iter(stream.readline, b""):
            with self.story.changed:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.story.changed.notify_all()
        if at_end:
            at_end.set()
        with self.story.changed:
            self.story.changed.notify_all()

    def wait_ready(self):
        def ready():
            assert self._process.poll() is None, f"{self.who} ended with status {self._process.returncode} before it was ready"
            return self.all_workers() and (self.admin_socket is None or self.admin("/readyz").status == 200)
        self.story.wait(ready, f"{self.who} is ready", within=60)

    def children(self):
        """{pid: title} of the master's living children."""
        return {pid: title for pid, (parent, _, title) in process_table().items() if parent == self.pid}

    def workers(self):
        return sorted(pid for pid, title in self.children().items() if title.startswith("lb: worker"))

    def all_workers(self):
        workers = self.workers()
        return workers if len(workers) == self.workers_wanted else None

    def admin_pid(self):
        found = [pid for pid, title in self.children().items() if title.startswith("lb: admin")]
        return found[0] if len(found) == 1 else None

    def is_running(self):
        return self._process.poll() is None

    def signal(self, name):
        self.story.note(self.who, f"is sent SIG{name}")
        os.kill(self.pid, getattr(signal, f"SIG{name}"))

    def kill(self, pid):
        self.story.note(self.who, f"process {pid} is killed")
        os.kill(pid, signal.SIGKILL)

    def all_gone(self):
        return self._all_gone.is_set()

    def wait_status(self, within=10.0):
        """The master's exit status, once every process of the tree has ended."""
        self.story.wait(lambda: self._process.poll() is not None, f"{self.who}'s master ends", within)
        self.story.wait(self.all_gone, f"{self.who}'s children end", within)
        self._ended_as_wanted = True
        return self._process.returncode

    def end(self):
        """Stops it if it still runs; complains about a wrong status, processes left behind and sanitizer reports."""
        try:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(ENDING)
                except subprocess.TimeoutExpired:
                    raise AssertionError(f"{self.who} does not end on SIGTERM") from None
                assert self._process.returncode == 0, f"{self.who} ended with status {self._process.returncode}"
                assert self._all_gone.wait(ENDING), f"{self.who} left processes behind: {self._left()}"
            elif not self._ended_as_wanted:
                raise AssertionError(f"{self.who} ended by itself with status {self._process.returncode}")
        finally:
            for pid in self._left():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._process.wait()
            self._all_gone.wait(5)
        reports = [line for line in self.log if SANITIZER.search(line)]
        assert not reports, f"{self.who}: a sanitizer reports: {reports[0]}"

    def _left(self):
        return [pid for pid, (_, session, _) in process_table().items() if session == self.pid]

    # -- what it says

    def wait_log(self, *parts, within=10.0, since=0):
        """The first line of the error log that holds all the parts."""
        def found():
            return next((line for line in self.log[since:] if all(part in line for part in parts)), None)
        return self.story.wait(found, f"{self.who} logs a line with {parts}", within)

    def run(self, *arguments):
        return run(self.story, *arguments, environment=self._environment)

    def command(self, name):
        """lb -s NAME with the configuration this balancer was started with."""
        self.story.note(self.who, f"is told -s {name}")
        outcome = self.run("-c", self.config_path, "-s", name)
        self.story.note(self.who, f"answers {outcome!r}")
        return outcome

    def reload(self, text=None):
        """Reloads, with another text or with the file as it is; it must succeed."""
        if text is not None:
            self.configure(text)
        outcome = self.command("reload")
        assert outcome.status == 0, f"reload failed: {outcome!r}"
        return outcome

    def admin(self, path, method="GET", host="test"):
        client = Client(self.story, self.admin_socket.address, "operator")
        try:
            client.ask(method, path, {"Connection": "close"}, host=host)
            return client.answer()
        finally:
            client.close()

    def status(self):
        return json.loads(self.admin("/status").body)

    def samples(self):
        """[(name, {label: value}, number)] of /metrics."""
        out = []
        for line in self.admin("/metrics").text.splitlines():
            if line and not line.startswith("#"):
                match = SAMPLE.fullmatch(line)
                assert match, f"no sample: {line!r}"
                out.append((match[1], dict(LABEL.findall(match[2] or "")), float(match[3])))
        return out

    def metric(self, name, **labels):
        """The sum of the samples of that name whose labels include the given ones; `class_` stands for `class`."""
        labels = {key.rstrip("_"): value for key, value in labels.items()}
        found = [value for key, has, value in self.samples() if key == name and labels.items() <= has.items()]
        assert found, f"/metrics has no {name}{labels}"
        return sum(found)

    def wait_metric(self, wanted, name, within=5.0, **labels):
        """Until a metric has that value: counters are written after the bytes they count."""
        last = None

        def there():
            nonlocal last
            last = self.metric(name, **labels)
            return last == wanted
        try:
            self.story.wait(there, f"{name}{labels} becomes {wanted}", within)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {last}") from None


def run(story, *arguments, environment=None, timeout=60):
    """Runs lb to its end."""
    done = subprocess.run([story.binary, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=timeout, cwd=story.directory, check=False,
                          env=environment or {**os.environ, "XDG_RUNTIME_DIR": story.directory})
    report = SANITIZER.search(done.stderr)
    assert not report, f"lb {arguments}: a sanitizer reports:\n{done.stderr}"
    return Outcome(done.returncode, done.stdout, done.stderr)
