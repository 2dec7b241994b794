"""The three balancers as they are attacked: started alike, looked at alike, gone at the end.

Owns:   a private directory, the origin, the proxies' processes; all end with the program that made them.
Never:  measures with times of patience that differ between the peers: who waits longer holds more connections.
"""
import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

# One worker, one backend, kept connections on both sides, the same times: a head within 10 s, 30 s between two pieces of
# a body or of an answer that is read, 75 s at rest.
CONFIGS = {
    "lb": """[global]
workers = 1
pid_file = {dir}/lb.pid
control = {dir}/control.sock
error_log = {dir}/error.log info

[admin]
bind = 127.0.0.1:{admin}

[defaults]
header_timeout = 10s
body_timeout = 30s
idle_timeout = 75s

[listener attacked]
bind = 127.0.0.1:{port}
pool = app

[pool app]
backend = 127.0.0.1:{origin}
check = off
keepalive = 64
""",
    "nginx": """worker_processes 1;
worker_rlimit_nofile {limit};
pid {dir}/nginx.pid;
error_log {dir}/error.log error;
events {{ worker_connections {nginx_connections}; }}
http {{
    access_log off;
    client_header_timeout 10s;
    client_body_timeout 30s;
    send_timeout 30s;
    keepalive_timeout 75s;
    client_max_body_size 64m;
    large_client_header_buffers 4 32k;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    upstream app {{ server 127.0.0.1:{origin}; keepalive 64; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_read_timeout 30s;
    proxy_send_timeout 30s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://app; }}
    }}
}}
""",
    "haproxy": """global
    nbthread 1
    maxconn {haproxy_connections}
    no strict-limits
    tune.bufsize 32768
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout http-request 10s
    timeout http-keep-alive 75s
    http-reuse safe
frontend attacked
    bind 127.0.0.1:{port} backlog 4096
    maxconn {haproxy_connections}
    default_backend app
backend app
    fullconn {haproxy_connections}
    server s1 127.0.0.1:{origin}
""",
}
COMMANDS = {
    "lb": ["{bin}", "-c", "{conf}"],
    "nginx": ["{bin}", "-p", "{dir}", "-c", "{conf}", "-g", "daemon off;"],
    "haproxy": ["{bin}", "-db", "-f", "{conf}"],
}


def die(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def note(text):
    print(text, file=sys.stderr, flush=True)


def bound_to_parent():
    """A child ends with the program that made it, whatever happens."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    all_descriptors()


def all_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))


def free_ports(count):
    """Consecutive ports below those that the kernel gives to clients."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        top = min(int(file.read().split()[0]), 32000)
    begin = 10000 + os.getpid() * 7 % max(1, top - 11000)
    for base in [*range(begin, top - count), *range(10000, begin)]:
        with contextlib.ExitStack() as held:
            try:
                for i in range(count):
                    sock = held.enter_context(socket.socket())
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind(("127.0.0.1", base + i))
                    sock.listen(1)
                return base
            except OSError:
                continue
    die("no free ports")


def tree(root):
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", encoding="latin-1") as file:
            children.setdefault(int(file.read().rpartition(")")[2].split()[1]), []).append(int(entry))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def title(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode("latin-1").strip()
    return ""


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            fields = file.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def field(path, name):
    """A figure of a file of /proc, in KiB."""
    with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
        match = re.search(rf"^{name}:\s+(\d+)", file.read(), re.M)
        return int(match[1]) if match else 0
    return 0


class Place:
    """The directory, the origin and the CPUs of one measurement."""

    def __init__(self, unpinned=False):
        self.dir = tempfile.mkdtemp(prefix="lb-abuse-")
        os.chmod(self.dir, 0o755)  # a proxy may give up root before it opens its files
        online = sorted(os.sched_getaffinity(0))
        alone = len(online) > 1 and not unpinned
        self.proxy_cpus = {online[0]} if alone else set(online)
        self.other_cpus = set(online[1:]) if alone else set(online)
        self.running = []
        origin = os.path.join(self.dir, "backend")
        source = os.path.join(HERE, "..", "src", "backend.c")
        if subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", origin, source], check=False).returncode != 0:
            die("cannot build src/backend.c (is a C compiler installed?)")
        self.origin_port = free_ports(1)
        self.spawn([origin, "-p", str(self.origin_port)])
        self.wait_port(self.origin_port)

    def __enter__(self):
        # Ended from outside, it still ends its children and removes its files.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *_):
        for process in reversed(self.running[:]):
            self.end(process)
        shutil.rmtree(self.dir, ignore_errors=True)

    def spawn(self, argv, cpus=None, **more):
        def setup():
            bound_to_parent()
            os.sched_setaffinity(0, cpus or self.other_cpus)
        process = subprocess.Popen(argv, preexec_fn=setup, **more)  # noqa: PLW1509 - no threads here
        self.running.append(process)
        return process

    def end(self, process):
        if process.poll() is None:
            mine = tree(process.pid)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in reversed(mine):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait(10)
        if process in self.running:
            self.running.remove(process)

    @staticmethod
    def wait_port(port, process=None, within=30):
        end = time.monotonic() + within
        while time.monotonic() < end and (process is None or process.poll() is None):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            time.sleep(0.01)
        raise RuntimeError("it did not start")


class Proxy:
    """One running balancer."""

    def __init__(self, place, name, binary):
        self.place, self.name = place, name
        self.dir = tempfile.mkdtemp(prefix=name + "-", dir=place.dir)
        os.chmod(self.dir, 0o777)
        self.port = free_ports(2)
        self.admin = self.port + 1
        values = {"dir": self.dir, "conf": os.path.join(self.dir, "config"), "bin": binary, "port": self.port,
                  "admin": self.admin, "origin": place.origin_port, "limit": LIMIT,
                  # As many as the descriptors permit: nginx counts both sides, haproxy and lb count clients.
                  "nginx_connections": LIMIT - 64, "haproxy_connections": (LIMIT - 128) // 2}
        with open(values["conf"], "w", encoding="ascii") as file:
            file.write(CONFIGS[name].format(**values))
        self.log = os.path.join(self.dir, "output")
        with open(self.log, "wb") as log:
            self.process = place.spawn([word.format(**values) for word in COMMANDS[name]], place.proxy_cpus, cwd=self.dir,
                                       stdout=log, stderr=subprocess.STDOUT)
        try:
            place.wait_port(self.port, self.process)
        except RuntimeError as error:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{name}: {error}:\n{log.read()[-2000:]}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.end(self.process)

    def pids(self):
        return tree(self.process.pid)

    def worker(self):
        """The process that has the connections."""
        mark = {"lb": "lb: worker", "nginx": "nginx: worker", "haproxy": ""}[self.name]
        for _ in range(50):  # it may just be replaced, which the log tells
            for pid in self.pids():
                if mark in title(pid):
                    return pid
            time.sleep(0.1)
        raise RuntimeError(f"{self.name} has no worker:\n{self.complaints()}")

    def complaints(self):
        """The end of what it wrote: of lb at info, so more than its start means that something went wrong."""
        lines = []
        for name in ("error.log", "output"):
            with contextlib.suppress(OSError), open(os.path.join(self.dir, name), encoding="utf-8", errors="replace") as file:
                lines += file.read().splitlines()
        return "\n".join(lines[-20:])

    def descriptors(self):
        with contextlib.suppress(OSError):
            return len(os.listdir(f"/proc/{self.worker()}/fd"))
        return 0

    def pss(self):
        return sum(field(f"/proc/{pid}/smaps_rollup", "Pss") for pid in self.pids())

    def forget_peak(self):
        """The kernel counts the greatest resident size from here on."""
        with contextlib.suppress(OSError), open(f"/proc/{self.worker()}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")

    def peak(self):
        return field(f"/proc/{self.worker()}/status", "VmHWM")

    def metrics(self):
        """{name{labels}: value} of lb's own page; the others have none."""
        if self.name != "lb":
            return {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=20) as page:
            lines = page.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def binaries(names, lb):
    """[(name, path)] of those that are there; what is missing is said."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = []
    for name in names.split(","):
        if name not in CONFIGS:
            die(f"no peer {name}; there are {', '.join(CONFIGS)}")
        where = os.path.abspath(lb) if name == "lb" and lb else shutil.which(name, path=path)
        if where and os.access(where, os.X_OK):
            found.append((name, where))
        else:
            note(f"skip: {name} is not there" + (" (--lb PATH)" if name == "lb" else ""))
    if not found:
        die("nothing to measure")
    return found
