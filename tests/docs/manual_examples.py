"""The examples of the man pages, loaded and run; and how a page's source is read.

Owns:  addresses and directories for them, and what is asked of each (QUESTIONS).
Never: touches a file or a port outside of its directory and the loopback, or an lb of the machine.
"""
import os
import pwd
import random
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

PROGRAM, SETTINGS, METRICS = "lb.8", "lb.ini.5", "lb-metrics.7"
PATIENCE = 20  # seconds, for anything that is waited for


def output_of(*command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


# -- pages

def plain(text):
    """roff to text, as far as the pages use it: escapes and macros away, lines kept."""
    text = re.sub(r"\\f[BIPR]", "", text)
    for escape, char in (("\\-", "-"), ("\\(dq", '"'), ("\\(aq", "'"), ("\\&", ""), ("\\e", "\\")):
        text = text.replace(escape, char)
    return text


def section(page, title):
    """The source of one .SH section, or nothing."""
    found = re.search(rf'^\.SH "?{re.escape(title)}"?\n(.*?)(?=^\.SH |\Z)', page, re.M | re.S)
    return found[1] if found else ""


def entries_of(page, *titles):
    """What the entries of some sections are about: the words of each line behind a .TP."""
    words = set()
    for title in titles:
        for line in re.findall(r"^\.TP\n\.(?:B|BR|BI|I|IR)\s+(.*)$", plain(section(page, title)), re.M):
            words.update(word for word in re.split(r'[\s",|]+', line) if word)
    return words


def blocks(page):
    """(heading, text) of every .EX block."""
    heading, inside, found = "", None, []
    for line in page.splitlines():
        if line.startswith((".SH ", ".SS ")):
            heading = plain(line[4:].strip('"'))
        elif line == ".EX":
            inside = []
        elif line == ".EE":
            found.append((heading, plain("\n".join(inside)) + "\n"))
            inside = None
        elif inside is not None:
            inside.append(line)
    return found


def whole_configurations(page):
    return [(heading, text) for heading, text in blocks(page) if re.search(r"^\[listener", text, re.M)]


# -- examples

# Of the examples of lb.ini(5), by their headings: what is asked of lb explain, and a line of what it must answer.
QUESTIONS = {
    "One application": [(["http://a.example/"], "pool app")],
    "Several servers": [(["http://a.example/"], "pool app")],
    "By path": [(["http://a.example/api/users"], "pool api"), (["http://a.example/apis"], "pool site")],
    "By host": [(["http://SHOP.example.com/"], "pool shop"), (["http://blog.example.com/"], "pool blog"),
                (["http://a.customers.example/"], "pool customers"), (["http://b.example/"], "404: no route")],
    "Canary": [(["http://a.example/", "-H", "X-Canary: 1"], "pool canary"), (["http://a.example/"], "all taken")],
    "Blue and green": [(["http://a.example/"], "pool app")],
    "A shop with sessions": [(["http://a.example/"], "pool shop")],
    "Limits, and who may come in": [
        (["http://a.example/admin/x", "--from", "192.0.2.9"], "pool app"),
        (["http://a.example/admin/x", "--from", "198.51.100.1"], "refused with 403"),
        (["http://a.example/x", "--from", "198.51.100.1"], "pool app")],
    "WebSocket": [(["http://a.example/ws/1"], "pool chat"), (["http://a.example/"], "pool app")],
    "Backends by DNS": [(["http://api.example.com/"], "pool api"), (["http://a.example/"], "pool app")],
    "Behind another balancer": [(["http://a.example/", "--listener", "http"], "pool app")],
    "Redirects": [
        (["http://old.example.com/x?y=1"], "redirect 308 to https://www.example.com$request_uri"),
        (["http://www.example.com/x", "-H", "X-Forwarded-Proto: http"], "redirect 308 to https://$host$request_uri"),
        (["http://www.example.com/x", "-H", "X-Forwarded-Proto: https"], "pool app")],
    "Maintenance": [(["http://a.example/", "--from", "192.0.2.9"], "pool app"),
                    (["http://a.example/", "--from", "198.51.100.1"], "answer 503 with")],
    "Behind a proxy on the same machine": [(["http://a.example/"], "pool app")],
    "Trying a new release with real requests": [(["http://a.example/"], "mirror 10% of the requests to pool next")],
    "Logs": [(["http://a.example/api/"], "pool app")],
    "Watching, and services that register themselves": [(["http://a.example/"], "pool app")],
}


class Place:
    """A directory that whoever lb serves as may write to, and addresses that nobody else uses."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="lb-manual.")
        os.chmod(self.path, 0o777)
        # Below the range of ports that outgoing connections take.
        self.host = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
        self.ports = iter(random.sample(range(12000, 32000), 400))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path)

    def free_port(self, host="127.0.0.1"):
        for port in self.ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                    return port
                except OSError:
                    continue
        raise AssertionError("no port is free")

    def folder(self, name):
        """With what examples read beside them."""
        path = os.path.join(self.path, re.sub(r"\W+", "-", name))
        os.mkdir(path)
        os.chmod(path, 0o777)
        for file, text in (("maintenance.html", "<p>Back soon\n"), ("admin.token", "0123456789abcdef0123456789abcdef\n")):
            with open(f"{path}/{file}", "w", encoding="utf-8") as out:
                out.write(text)
            os.chmod(f"{path}/{file}", 0o600 if file.endswith("token") else 0o644)
            if os.geteuid() == 0:
                os.chown(f"{path}/{file}", serving_user(), -1)
        return path

    def moved(self, text, folder):
        """An example on addresses of our own: what listens, what is asked, where files are."""
        def bind(_):
            return f"bind = {self.host}:{self.free_port(self.host)}"
        text = re.sub(r"^bind = [\w.\[\]:]+:\d+", bind, text, flags=re.M)
        text = text.replace("/var/log/lb/", f"{folder}/").replace("unix:/run/lb/", f"unix:{folder}/")
        text = re.sub(r"^((?:backend|nameserver) = )10\.", r"\g<1>127.", text, flags=re.M)
        if "[admin]" not in text:
            text += f"\n[admin]\nbind = {self.host}:{self.free_port(self.host)}\n"
        return text


def serving_user():
    for name in ("lb", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise AssertionError("neither user lb nor nobody is there")


def own_files(folder):
    """The files of an instance, away from those of the machine's lb."""
    return [word for key, name in (("control", "lb.sock"), ("pid_file", "lb.pid"), ("state_file", "lb.state"))
            for word in ("-g", f"{key} = {folder}/{name}")]


def save(folder, text):
    path = f"{folder}/lb.ini"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


def wait_until(condition, what, alive):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if alive.poll() is not None:
            raise AssertionError(f"{what}: it ended with status {alive.returncode}")
        if time.monotonic() > deadline:
            raise AssertionError(f"not in time: {what}")
        time.sleep(0.02)


class Running:
    """An lb, or whatever else, until the end of the block."""

    def __init__(self, command, folder):
        self.log = open(f"{folder}/err.log", "a+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()

    def text(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def serves(self, speak):
        def answered():
            return subprocess.run([*speak, "-s", "status"], capture_output=True, timeout=PATIENCE,
                                  check=False).returncode == 0
        try:
            wait_until(answered, "lb serves", self.process)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None


def complaints(command, folder, expected=""):
    """What a command that must be silent on standard error says there."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode == 0 and done.stderr.strip() == expected:
        return []
    return [f"status {done.returncode}: {line}" for line in done.stderr.splitlines() or ["no reason"]]


def try_example(binary, place, heading, text, facts=None):
    """One whole configuration: loaded as it stands, tested and run on our addresses, asked."""
    folder = place.folder(heading)
    mistakes = complaints([binary, "-T", "-c", save(folder, text)], folder)
    speak = [binary, "-c", save(folder, place.moved(text, folder)), *own_files(folder)]
    mistakes = mistakes or complaints([*speak, "-t"], folder, "the configuration is good")
    if mistakes:
        return mistakes
    with Running(speak, folder) as running:
        running.serves(speak)
        for words, wanted in QUESTIONS.get(heading, []):
            answer = subprocess.run([*speak, "explain", "GET", *words], capture_output=True, text=True,
                                    timeout=PATIENCE, check=False)
            said = re.sub(r" +", " ", answer.stdout + answer.stderr)
            if not re.search(rf"(?:^|\s){re.escape(wanted)}(?!\w)", said, re.M):
                mistakes.append(f"explain {' '.join(words)}: no '{wanted}' in\n{said}")
        if facts:
            address = re.search(r"^\[admin\]\nbind = (\S+)", place_text(folder), re.M)[1]

            def page(path):
                with urllib.request.urlopen(f"http://{address}{path}", timeout=PATIENCE) as answer:
                    return answer.read().decode()
            facts.learn(page("/metrics"), page("/"), page("/status") + page("/api/v1/load"))
    return mistakes


def place_text(folder):
    with open(f"{folder}/lb.ini", encoding="utf-8") as file:
        return file.read()


def try_configurations(binary, pages, facts):
    mistakes, tried = [], 0
    with Place() as place:
        for name in (PROGRAM, SETTINGS):
            found = whole_configurations(pages[name])
            if name == SETTINGS and len(found) < 9:
                mistakes.append(f"{name}: {len(found)} whole examples are few")
            for heading, text in found:
                said = try_example(binary, place, heading, text, facts if tried == 0 else None)
                mistakes += [f"{name}, {heading}: {line}" for line in said]
                tried += 1
    headings = {heading for heading, _ in whole_configurations(pages[SETTINGS])}
    mistakes += [f"lb.ini(5): there is no example '{heading}' to ask" for heading in sorted(set(QUESTIONS) - headings)]
    return mistakes, tried


def commands_of(page):
    text = section(page, "EXAMPLES")
    return [line for _, block in blocks(f".SH EXAMPLES\n{text}") if not re.search(r"^\[", block, re.M)
            for line in block.splitlines() if line]


# `lb` of an example, on files of our own; `lb demo` knows none.
SHELL = r"""
set -euo pipefail
lb() {
    if [[ $1 == demo ]]; then exec "$LB" "$@"; fi
    "$LB" "$@" "${OWN[@]}"
}
"""


def run_commands(binary, page):
    """Every command of EXAMPLES in lb(8), in order; each must end with 0. Those with & behind run until the end."""
    mistakes, left_out = [], []
    lines = commands_of(page)
    config = next((text for heading, text in whole_configurations(page) if heading == "EXAMPLES"), None)
    if config is None or not lines:
        return ["lb(8): EXAMPLES has no commands, or no configuration for them"], 0, []
    with Place() as place:
        folder = place.folder("commands")
        ports = {port: str(place.free_port()) for port in ("8081", "8082", "8083", "8080", "3030")}

        def moved(text):
            return re.sub(r"\b(" + "|".join(ports) + r")\b", lambda found: ports[found[1]], text)
        save(folder, moved(config) + f"\n[admin]\nbind = {place.host}:{place.free_port(place.host)}\n")
        own = own_files(folder)
        speak = [binary, "-c", f"{folder}/lb.ini", *own]
        shell = f"LB={binary!r}\nOWN=({' '.join(repr(word) for word in own)}){SHELL}"
        running = []
        try:
            for line in lines:
                command = moved(line)
                if command.startswith("lb demo"):
                    running.append(Running(["bash", "-c", shell + command], folder))
                    wait_until(lambda: running[-1].text().count("http://") == 2, line, running[-1].process)
                    continue
                if command.endswith("&"):
                    running.append(Running([*speak, *shell_words(command)], folder))
                    running[-1].serves(speak)
                    continue
                if "--backends" in command:
                    command += " -T"  # its admin port cannot be moved, and may be taken on this machine
                tool = re.search(r"(?:^|\| )(curl|jq)\b", command)
                if tool and (tool[1] == "curl" or shutil.which(tool[1]) is None):
                    left_out.append(line)
                    continue
                done = subprocess.run(["bash", "-c", shell + command], cwd=folder, capture_output=True, text=True,
                                      timeout=PATIENCE, check=False)
                if done.returncode != 0:
                    mistakes.append(f"lb(8): {line}: status {done.returncode}\n{done.stdout}{done.stderr}")
            if running and running[-1].process.wait(PATIENCE) != 0:
                mistakes.append("lb(8): the lb of EXAMPLES did not end well")
        finally:
            for one in reversed(running):
                one.__exit__()
    return mistakes, len(lines) - len(left_out), left_out


def shell_words(command):
    """The flags of 'lb -c FILE ... &' behind the file."""
    words = shlex.split(command.rstrip("& "))
    assert words[:3] == ["lb", "-c", "lb.ini"], words
    return words[3:]
