#!/usr/bin/python3
"""README.md, doc/MOVING.md and doc/HTTP1.md against lb and the repository.

    check_readme.py LB

Checked: settings load, alone (`key = value` in text) and as whole files (a block marked ini: `lb -T` as it stands, `lb -t` with
ports and directories of its own); commands, actions and flags of lb exist; links, paths and scripts exist; the column of lb in
the tables of MOVING.md holds nothing that lb does not know; the blocks marked nginx and haproxy pass nginx -t and haproxy -c where
these are installed. A block of an ini file that is a part of one is marked `ini part`: pools that it names and does not have
are added. Each check is seen to fail before the documents are looked at.
Never: starts lb, opens a port for longer than lb -t does, writes outside a temporary directory.
"""
import collections
import functools
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DOCUMENTS = ("README.md", "doc/MOVING.md", "doc/HTTP1.md")
PEERS = ("nginx", "haproxy")
TABLES = "doc/MOVING.md"  # has one for each of them, not shorter than
LEAST_ROWS = 35
# Folders of the repository: what is written as a path below one of these must be there.
FOLDERS = ("bench", "cmake", "doc", "etc", "man", "packaging", "scripts", "src", "tests")
# Other programs that a text may tell the reader to use.
PROGRAMS = ("apt", "cmake", "ctest", "curl", "journalctl", "man", "openssl", "prometheus", "systemctl",
            "systemd-socket-activate", "ufw")

Span = collections.namedtuple("Span", "line text")
Block = collections.namedtuple("Block", "line language text")  # language "": indented, a terminal
Row = collections.namedtuple("Row", "line table cells")


# ---- reading Markdown ------------------------------------------------------------------------------------------------------

class Document:
    """The parts of one file: code spans, blocks, table rows, links. Blocks are not searched for spans."""

    def __init__(self, name, text):
        self.name, self.spans, self.blocks, self.rows, self.links, self.headings = name, [], [], [], [], []
        fence = table = None
        prose = []  # (line number, text) of what is no block
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            opening = re.match(r"```(.*)$", line)
            if fence:
                if line == "```":
                    self.blocks.append(Block(fence[0], fence[1], "\n".join(fence[2]) + "\n"))
                    fence = None
                else:
                    fence[2].append(line)
                continue
            if opening:
                fence = (number, opening.group(1).strip(), [])
            elif line.startswith("    "):
                if self.blocks and self.blocks[-1].language == "" and lines[number - 2].startswith("    "):
                    last = self.blocks.pop()
                    self.blocks.append(last._replace(text=last.text + line[4:] + "\n"))
                else:
                    self.blocks.append(Block(number, "", line[4:] + "\n"))
            else:
                prose.append((number, line))
        text = "\n".join(line for _, line in prose)
        where = [number for number, line in prose for _ in range(len(line) + 1)]
        self.spans = [Span(where[found.start()], " ".join(found.group(1).split()))
                      for found in re.finditer(r"`([^`]+)`", text)]
        # A link's text may hold code, its target never does.
        self.links = [Span(where[found.start()], found.group(1)) for found in re.finditer(r"\]\(([^)\s]+)\)", text)]
        self.headings = [re.sub(r"[^\w\- ]", "", line.lstrip("# ")).lower().replace(" ", "-")
                         for _, line in prose if line.startswith("#")]
        for number, line in prose:
            if not line.startswith("|"):
                table = None
                continue
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            if table is None:
                table = cells[0]
            elif not set(line) <= set("|-: "):
                self.rows.append(Row(number, table, cells))


def spans_of(cell):
    return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", cell)]


# ---- what lb knows ---------------------------------------------------------------------------------------------------------

def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)


def plain(roff):
    """A manual page without its markup."""
    roff = re.sub(r"^\.(?:[A-Z]{1,2})\b ?", "", roff, flags=re.MULTILINE).replace('"', "")
    return re.sub(r"\\f.|\\&", "", roff).replace("\\-", "-").replace("\\e", "\\")


class Lb:
    def __init__(self, binary, scratch):
        self.binary, self.scratch = binary, scratch
        self.keys = collections.defaultdict(list)  # key -> sections
        section = before = None
        manual = run(binary, "--manual").stdout
        for line in manual.splitlines():
            head, key = re.match(r"\.SS \[(\w+)", line), re.match(r"\.B (\w+)$", line)
            if head:
                section = head.group(1)
            elif before == ".TP" and key and section:
                self.keys[key.group(1)].append(section)
            elif line.startswith(".SH") and line != ".SH KEYS":
                section = None
            before = line
        # What [defaults] has is a key of listeners and pools too.
        for sections in self.keys.values():
            if "defaults" in sections:
                sections += [extra for extra in ("listener", "pool", "route") if extra not in sections]
        self.sections = {section for sections in self.keys.values() for section in sections}
        self.options = set(re.findall(r"\b(\w+)=", plain(manual)))
        self.manuals = {}
        for name in ("lb.8", "lb.ini.5", "lb-metrics.7"):
            with open(f"{ROOT}/man/{name}", encoding="utf-8") as file:
                self.manuals[name] = plain(file.read())
        self.help = run(binary, "--help").stdout
        names = re.search(r"one of ([a-z ]+)$", self.help, re.MULTILINE)
        self.signals = names.group(1).split() if names else []
        self.commands = [name for name in dict.fromkeys(re.findall(r"^ +lb ([a-z]+)", self.help, re.MULTILINE))]
        self.helps = {name: run(binary, name, "--help").stdout for name in self.commands}
        if not (self.keys and self.signals and "backend" in self.commands and all(self.manuals.values())):
            raise SystemExit(f"{binary} does not say what it knows")

    def load(self, text, flag="-T", *more):
        """What lb has to say of a file, errors and warnings; empty when there is nothing."""
        path = os.path.join(self.scratch, "settings.ini")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = run(self.binary, flag, "-c", path, *more)
        said = (done.stderr if flag == "-T" else done.stderr + done.stdout).replace(path, "").strip()
        if flag == "-t" and done.returncode == 0 and "warning" not in said:
            return ""
        return said or ("" if done.returncode == 0 else f"status {done.returncode}")


SKELETON = {
    "global": "", "admin": "", "defaults": "", "zones": "", "resolver": "",
    "log": "path = stdout", "listener": "bind = 127.0.0.1:8080\ntrusted = 127.0.0.1\npool = app", "pool": "backend = 127.0.0.1:8081",
    "route": "path = /some\npool = app", "acl": "allow = 192.0.2.0/24", "limit": "rate = 10/s",
}
NAMES = {"log": ["main"], "listener": ["web"], "pool": ["app", "shadow", "api"], "route": ["some"], "acl": ["office"],
         "limit": ["per-client"], "resolver": ["default"]}


def with_setting(section, key, value):
    """A whole configuration with one setting in it."""
    text = ""
    for kind, lines in SKELETON.items():
        if kind == "resolver" and section != "resolver":
            continue
        for name in NAMES.get(kind, [""]):
            text += f"[{kind} {name}]\n" if name else f"[{kind}]\n"
            own = kind == section and name == NAMES.get(kind, [""])[0]
            for line in lines.splitlines():
                word = line.split(" = ")[0]
                answers = ("pool", "redirect", "respond")
                # A pool of backups alone is none, so a backend stands beside the one that is there.
                gone = word == key != "backend" or (kind == "route" and word in answers and key in answers)
                if not (own and gone):
                    text += line + "\n"
            text += f"{key} = {value}\n" if own else ""
    return text


@functools.lru_cache(maxsize=None)
def setting_mistake(lb, text):
    """A setting as it is written in a text must load in a section that has its key, without a warning."""
    key, value = re.fullmatch(r"(\w+) = (.*)", text).groups()
    if key not in lb.keys:
        return f"lb has no key '{key}'"
    if (key, value) == ("user", "lb"):
        value = "nobody"  # the package makes the user lb
    said = [lb.load(with_setting(section, key, value)) for section in dict.fromkeys(lb.keys[key])]
    return "" if "" in said else said[0].replace("\n", "; ")


# ---- commands --------------------------------------------------------------------------------------------------------------

def knows_flag(help_text, flag):
    return re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", help_text) is not None


def command_mistake(lb, words):
    """`words`: what follows lb on a command line."""
    if not words:
        return ""
    here, expect_signal = lb.help, False
    if words[0] in lb.commands:
        here = lb.helps[words[0]] + lb.help
        actions = re.findall(r"^(?:Usage:)? +lb backend (\S+)", lb.helps["backend"], re.MULTILINE)
        actions = {action for several in actions for action in several.split("|")}
        if words[0] == "backend" and (len(words) < 2 or words[1] not in actions and not words[1].startswith("-")):
            return f"lb backend has no action '{' '.join(words[1:2])}'"
        if words[0] == "demo":
            return "" if all(word.isdigit() for word in words[1:]) else "lb demo takes ports"
    elif not words[0].startswith("-"):
        return f"lb has no command '{words[0]}'"
    for word in words:
        if expect_signal and word not in lb.signals and not word.isupper() and word != "...":
            return f"lb -s knows no '{word}'"
        expect_signal = word in ("-s", "--signal")
        flag = word.split("=")[0]
        if flag.startswith("-") and flag != "-" and not (
                knows_flag(here, flag) or (len(flag) > 2 and knows_flag(here, "-" + flag))):
            return f"lb has no flag '{flag}'"
    return ""


def commands_in(line):
    """The commands of a terminal's line, as lists of words, without what is said behind #."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return [[f"cannot be split: {line}"]]
    commands, command = [], []
    for word in words:
        if word in ("|", "&&", "||", ";", "&"):
            commands.append(command)
            command = []
        else:
            command.append(word.rstrip(";"))
            if word.endswith(";"):
                commands.append(command)
                command = []
    found = []
    for command in commands + [command]:
        while command and (command[0] == "sudo" or re.fullmatch(r"\w+=\S*", command[0])):
            command = command[1:]
        if command:
            found.append(command)
    return found


def line_mistakes(lb, line):
    mistakes = []
    for command in commands_in(line):
        for at, word in enumerate(command):
            # Behind a starter such as systemd-socket-activate too.
            if word == "lb" and at == 0 or re.fullmatch(r"build/\w+/lb|/usr/sbin/lb", word):
                if at == 0 or command[0].startswith("systemd"):
                    mistakes.append(command_mistake(lb, command[at + 1:]))
        first = command[0]
        if first.split("/")[0] in FOLDERS and "/" in first:
            mistakes.append(path_mistake(first, runs=True))
    return [mistake for mistake in mistakes if mistake]


# ---- paths -----------------------------------------------------------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def path_mistake(path, runs=False, base=ROOT):
    whole = os.path.normpath(os.path.join(base, path))
    if not os.path.exists(whole):
        return f"there is no {path}"
    script = re.match(r"(scripts|bench)/[\w-]+$", path) and os.path.isfile(whole)
    if (runs or script) and not os.access(whole, os.X_OK):
        return f"{path} cannot be run"
    return ""


def link_mistake(document, target):
    if re.match(r"[a-z]+:", target):
        return ""
    path, _, anchor = target.partition("#")
    if path:
        mistake = path_mistake(path, False, os.path.join(ROOT, os.path.dirname(document.name)))
        return mistake if mistake or not anchor else ("" if anchor in headings_of(path, document) else f"{path} has no #{anchor}")
    return "" if anchor in document.headings else f"no heading is called #{anchor}"


def headings_of(path, document):
    with open(os.path.join(ROOT, os.path.dirname(document.name), path), encoding="utf-8") as file:
        return Document(path, file.read()).headings


def is_path(text):
    return re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*", text) is not None


# ---- whole files -----------------------------------------------------------------------------------------------------------

def completed(text):
    """A part of a file with the sections that it names and does not have."""
    have = set(re.findall(r"^\[([^\]]+)\]", text, re.MULTILINE))
    wanted = re.findall(r"^(pool|mirror|acl|limit|access_log) = (\S+)", text, re.MULTILINE)
    for key, name in dict.fromkeys(wanted):
        kind = {"mirror": "pool", "access_log": "log"}.get(key, key)
        if f"{kind} {name}" not in have and name != "off":
            have.add(f"{kind} {name}")
            text += f"\n[{kind} {name}]\n{SKELETON[kind]}\n"
    # A section that stands for one that has more is filled up; one without a listener gets it.
    for kind in ("listener", "pool"):
        key = "bind" if kind == "listener" else "backend"
        text = re.sub(rf"^(\[{kind} [^\]]+\]\n)((?:(?!\[|{key} = |discover = ).*\n)*)(?=\[|\Z)",
                      rf"\1{SKELETON[kind].splitlines()[0]}\n\2", text, flags=re.MULTILINE)
    if not re.search(r"^\[listener ", text, re.MULTILINE):
        text += f"\n[listener added]\nbind = 127.0.0.1:8080\n{'pool = app' if 'pool app' in have else ''}\n"
    return text


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def moved(text, scratch):
    """The same file with addresses and directories that anybody can use."""
    text = re.sub(r"^(bind = [^#\n]*?):\d+(?=\s|$)", lambda found: f"{found.group(1)}:{free_port()}", text, flags=re.MULTILINE)
    return re.sub(r"/(?:var/log|var/lib|run|etc)/lb\b", scratch, text)


def ini_mistakes(lb, block):
    text = completed(block.text) if block.language == "ini part" else block.text
    said = lb.load(text)
    if not said and block.language == "ini":
        # Started by root, lb would serve as another user, whom the directory is open to.
        user = ["-g", "user = nobody"] if os.geteuid() == 0 else []
        said = lb.load(moved(text, lb.scratch), "-t", *user, "-g", f"control = {lb.scratch}/c", "-g", "pid_file = off", "-g",
                       "state_file = off")
    return [f"lb: {line}" for line in said.splitlines()]


def peer_mistakes(lb, block):
    binary = next((path for path in (shutil.which(block.language), f"/usr/sbin/{block.language}") if path and os.path.exists(path)),
                  None)
    if not binary:
        return []
    # Their logs, sockets and users may not be here; nginx -t makes its logs.
    theirs = os.path.join(lb.scratch, block.language)
    os.makedirs(theirs, exist_ok=True)
    text = re.sub(r"/(?:var/log|run)/(?:nginx|haproxy)\b", theirs, block.text)
    text = re.sub(r"/run/nginx.pid", f"{theirs}/nginx.pid", text)
    text = re.sub(r"(?<=listen )80\b", str(free_port()), text)
    if block.language == "nginx":
        text = re.sub(r"^user .*\n", "", text, flags=re.MULTILINE)
        temporary = "".join(f"    {kind}_temp_path {theirs}/{kind};\n"
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = text.replace("http {\n", "http {\n" + temporary, 1)
    path = os.path.join(theirs, "conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    done = run(binary, "-t", "-q", "-c", path, "-e", "stderr") if block.language == "nginx" else run(binary, "-c", "-f", path)
    said = [line for line in (done.stderr + done.stdout).splitlines() if re.search(r"emerg|ALERT|WARNING|\[warn\]", line)
            and "resource limit" not in line]  # how many files may be open here is not the example's fault
    return [f"{block.language}: {line}" for line in said] or ([] if done.returncode == 0 else [f"{block.language} refuses it"])


# ---- all of a document -----------------------------------------------------------------------------------------------------

def span_mistake(lb, text, strict):
    """strict: the column of lb, where everything must be known."""
    if re.match(r"lb( |$)", text):
        return "; ".join(line_mistakes(lb, text))
    if re.fullmatch(r"\w+ = .*", text):
        return setting_mistake(lb, text)
    if is_path(text):
        return "" if "*" in text else path_mistake(text)
    if text.split()[0].split("/")[0] in FOLDERS and "/" in text.split()[0]:
        return "; ".join(line_mistakes(lb, text))
    if not strict:
        return ""
    section = re.fullmatch(r"\[(\w+)( [\w-]+)?\]", text)
    if section:
        return "" if section.group(1) in lb.sections else f"lb has no section {text}"
    option = re.fullmatch(r"(\w+)=\S*", text)
    if text in lb.keys or (option and option.group(1) in lb.options) or text.split()[0] in PROGRAMS:
        return ""
    # A variable, a metric, a page of the admin port, a word of the manual.
    if text in lb.signals or any(re.search(rf"(?<!\w){re.escape(text)}(?!\w)", manual) for manual in lb.manuals.values()):
        return ""
    return f"lb knows no '{text}'"


def check(lb, document):
    mistakes = []

    def add(line, mistake):
        if mistake:
            mistakes.append(f"{document.name}:{line}: {mistake}")

    theirs = collections.Counter()  # code in the columns of others is not ours to judge
    rows = collections.Counter()
    for row in document.rows:
        if row.table.lower() not in PEERS:
            continue
        if len(row.cells) != 3:
            add(row.line, f"{len(row.cells)} cells instead of 3")
            continue
        theirs.update((row.line, text) for text in spans_of(row.cells[0]) + spans_of(row.cells[2]))
        if row.cells[0].startswith("**"):
            continue
        rows[row.table] += 1
        if not spans_of(row.cells[1]) and row.cells[1] != "no equal":
            add(row.line, "names no key of lb and does not say 'no equal'")
        for text in spans_of(row.cells[1]):
            add(row.line, span_mistake(lb, text, strict=True))
        for text in spans_of(row.cells[2]):
            # There the directives of others are named too.
            if re.match(r"lb |\w+ = ", text):
                add(row.line, span_mistake(lb, text, strict=False))
        theirs.subtract((row.line, text) for text in spans_of(row.cells[1]))
    for span in document.spans:
        if not any(span.line == row.line and row.table.lower() in PEERS for row in document.rows):
            add(span.line, span_mistake(lb, span.text, strict=False))
    for span in document.links:
        add(span.line, link_mistake(document, span.text))
    for block in document.blocks:
        if block.language in ("ini", "ini part"):
            said = ini_mistakes(lb, block)
        elif block.language in PEERS:
            said = peer_mistakes(lb, block)
        elif block.language in ("", "sh"):
            said = [mistake for line in block.text.splitlines() for mistake in line_mistakes(lb, line)]
        elif block.language == "text":
            said = []
        else:
            said = [f"nobody checks blocks of '{block.language}'"]
        for mistake in said:
            add(block.line, mistake)
    return mistakes, rows


def too_short(rows):
    return [f"the table of {peer} has {rows[peer]} rows" for peer in ("nginx", "HAProxy") if rows[peer] < LEAST_ROWS]


# ---- seen to fail ----------------------------------------------------------------------------------------------------------

def self_test(lb):
    def said(text):
        return check(lb, Document("README.md", text))[0]

    nginx_table = "| nginx | lb | what differs |\n|---|---|---|\n"
    whole = "```ini\n[listener web]\nbind = 0.0.0.0:80\npool = app\n[pool app]\nbackend = 10.0.0.1:80\n```\n"
    part = "```ini part\n[listener web]\nacl = office\n[pool app]\nbalance = p2c\n[route a]\npath = /a\npool = b\n```\n"
    good = [whole, part, "`lb -s reload`", "    lb backend drain app/a --wait=5s   # said", "`balance = p2c`", "`scripts/test`",
            "[a](LICENSE)", "# A b\n[a](#a-b)", nginx_table + "| `x` | `balance = p2c`, `[pool app]`, `$host`, `keepalive` | |\n",
            "    A=1 lb --port=1; sudo lb status --json", nginx_table + "| `x` | no equal | `y z` |\n"]
    bad = [(whole.replace("pool = app", "pool = ap"), "ap"), (whole.replace("bind = 0.0.0.0:80", "bind = 192.0.2.1:80"), "192.0.2.1"),
           (part.replace("p2c", "p3c"), "p3c"), ("`lb -s relode`", "relode"), ("    lb backend drian app/a", "drian"),
           ("`lb stats`", "stats"), ("    lb status --yaml", "--yaml"), ("    lb status; lb -Z", "-Z"), ("`balance = p3c`", "p3c"),
           ("`balances = p2c`", "balances"), ("`scripts/tests`", "scripts/tests"), ("    bench/nothing --lb x", "bench/nothing"),
           ("`doc/nothing.md`", "nothing.md"), ("[a](LICENCE)", "LICENCE"), ("# A b\n[a](#ab)", "#ab"),
           (nginx_table + "| `x` | `keepalives` | |\n", "keepalives"), (nginx_table + "| `x` | `$hosts` | |\n", "$hosts"),
           (nginx_table + "| `x` | `keepalive = yes` | |\n", "keepalive"), (nginx_table + "| `x` | nothing | |\n", "no equal"),
           (nginx_table + "| `x` | `[pools app]` | |\n", "pools"), (nginx_table + "| `x` | `weights=1` | |\n", "weights"),
           (nginx_table + "| `x` | no equal | `lb -s no` |\n", "no"), (nginx_table + "| `x` | `lb` |\n", "cells"),
           ("`README.md` `man/README.md`", "man/README.md"), ("```yaml\n```\n", "yaml"), ("    lb demo --help", "ports"),
           ("    systemd-socket-activate -l 1 build/release/lb -Z", "-Z"), ("    scripts/common.sh", "cannot be run")]
    if shutil.which("nginx") or os.path.exists("/usr/sbin/nginx"):
        bad.append(("```nginx\nevents { }\nhttp {\n  nonsense on;\n}\n```\n", "nonsense"))
    if shutil.which("haproxy") or os.path.exists("/usr/sbin/haproxy"):
        bad.append(("```haproxy\nglobal\n    nonsense\n```\n", "nonsense"))
    assert too_short(collections.Counter(nginx=LEAST_ROWS - 1, HAProxy=LEAST_ROWS)) == [f"the table of nginx has {LEAST_ROWS - 1} rows"]
    for text in good:
        assert not said(text), f"self-test: {text!r} is right: {said(text)}"
    for text, word in bad:
        assert any(word in mistake for mistake in said(text)), f"self-test: of {text!r} was said {said(text)}"


def main():
    mistakes, checked, rows = [], collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory(prefix="lb-readme-") as scratch:
        os.chmod(scratch, 0o777)
        os.makedirs(f"{scratch}/conf.d")
        with open(f"{scratch}/page.html", "w", encoding="utf-8") as file:
            file.write("text\n")
        lb = Lb(os.path.abspath(sys.argv[1]), scratch)
        self_test(lb)
        for name in DOCUMENTS:
            with open(f"{ROOT}/{name}", encoding="utf-8") as file:
                document = Document(name, file.read())
            found, counted = check(lb, document)
            mistakes += found
            if name == TABLES:
                mistakes += too_short(counted)
            rows += counted
            checked.update(block.language or "terminal" for block in document.blocks)
            checked.update(spans=len(document.spans), links=len(document.links))
    print("\n".join(mistakes) if mistakes else ", ".join(f"{count} {what}" for what, count in sorted((checked + rows).items())))
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
