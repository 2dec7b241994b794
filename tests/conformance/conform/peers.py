"""Other proxies as the cases want one: nginx and HAProxy from the machine, with a configuration of ours.

Each runs without privileges, on free ports, in a directory of its own, and is ended by its process id.
Never touches a configuration or a service of the machine.
"""
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
NOBODY = 65534

NGINX_LANE = """
    upstream lane{number} {{
        server 127.0.0.1:{backend} max_fails=0;
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{listener};
        location / {{
            proxy_pass http://lane{number};
        }}
    }}"""

HAPROXY_LANE = """
frontend lane{number}
    bind 127.0.0.1:{listener}
    http-request set-header X-Forwarded-Proto http
    default_backend lane{number}
backend lane{number}
    server backend 127.0.0.1:{backend}"""

PEERS = {
    # name: (arguments, file, what a lane looks like, how it tells its version)
    "nginx": (["-p", "{directory}", "-e", "{directory}/error.log", "-c", "{file}"], "nginx.conf", NGINX_LANE, "-v"),
    "haproxy": (["-db", "-f", "{file}"], "haproxy.cfg", HAPROXY_LANE, "-v"),
}


def find(name):
    """The path of a peer's binary, None where it is not installed."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")


def version(name):
    done = subprocess.run([find(name), PEERS[name][3]], capture_output=True, text=True, check=False)
    return re.search(r"(\d+\.[\w.+~-]+)", done.stdout + done.stderr)[1]


def free_ports(count):
    """Ports of 127.0.0.1 that nobody has, below the range from which the kernel gives ports to clients."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        top = int(file.read().split()[0])
    found = set()
    for _ in range(100 * count):
        if len(found) == count:
            return sorted(found)
        port = random.randrange(max(1024, top - 20000), top)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                found.add(port)
            except OSError:
                continue
    raise RuntimeError("no free ports")


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Peer:
    """A running nginx or HAProxy with one listener for each of the backend ports; `addresses` has them in that order."""

    def __init__(self, name, backend_ports):
        self.name = name
        self.process = None
        self.directory = tempfile.mkdtemp(prefix=f"conformance-{name}-")
        os.chmod(self.directory, 0o777)  # started as root it runs as nobody
        try:
            for _ in range(5):  # somebody else may take a port meanwhile
                if self._start(backend_ports):
                    return
            raise RuntimeError(f"{name} does not start: {self._said()}")
        except BaseException:
            self.end()
            raise

    def _start(self, backend_ports):
        arguments, file, lane, _ = PEERS[self.name]
        ports = free_ports(len(backend_ports))
        self.addresses = [("127.0.0.1", port) for port in ports]
        lanes = "".join(lane.format(number=number, listener=listener, backend=backend)
                        for number, (listener, backend) in enumerate(zip(ports, backend_ports)))
        with open(os.path.join(HERE, f"{file}.in"), encoding="utf-8") as template:
            text = template.read()
        path = os.path.join(self.directory, file)
        with open(path, "w", encoding="utf-8") as out:
            head, _, rest = text.partition("\n")  # the first line tells what the words below stand for
            out.write(head + "\n" + rest.replace("@LANES@", lanes).replace("@DIRECTORY@", self.directory))
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with open(os.path.join(self.directory, "output"), "w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                [find(self.name), *(each.format(directory=self.directory, file=path) for each in arguments)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.directory, **user)
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            if all(answers(port) for port in ports):
                return True
            time.sleep(0.01)
        self._stop()
        return False

    def _said(self):
        with open(os.path.join(self.directory, "output"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def _stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def end(self):
        self._stop()
        shutil.rmtree(self.directory, ignore_errors=True)
