#!/usr/bin/python3
"""The man pages against the program: lb(8), lb.ini(5), lb-metrics(7).

    check_manual.py LB

Owns:  what the pages must name: asked of the binary, or read in the sources where the binary does not tell. That their
       examples work is manual_examples.py: every whole configuration is loaded, tested, started and asked where requests
       go, and every command under EXAMPLES of lb(8) is run.
Never: holds a list of its own of what lb has.

When all is well, mistakes are planted in the pages and each check has to find its own.
"""
import copy
import os
import re
import shutil
import subprocess
import sys

from manual_examples import (METRICS, PATIENCE, PROGRAM, SETTINGS, Place, entries_of, output_of, plain, run_commands, section,
                             try_configurations, try_example, whole_configurations)

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LINES, COLUMNS = 24, 79
# Words with underscores that are not lb's but Prometheus's.
OTHERS = {"scrape_configs", "job_name", "static_configs", "histogram_quantile"}


def source(path):
    with open(f"{ROOT}/{path}", encoding="utf-8") as file:
        return file.read()


def sources(below="src"):
    for folder, _, names in os.walk(f"{ROOT}/{below}"):
        for name in names:
            if name.endswith((".cpp", ".h")):
                yield source(os.path.relpath(os.path.join(folder, name), ROOT))


# -- what lb has

class Facts:
    def __init__(self, binary):
        self.helps = {"": output_of(binary, "--help")}
        self.commands = sorted(set(re.findall(r"^(?:Usage:)? +lb ([a-z]\w*)", self.helps[""], re.M)))
        for command in self.commands:
            asked = subprocess.run([binary, command, "-h"], capture_output=True, text=True, timeout=PATIENCE, check=False)
            if asked.returncode == 0:
                self.helps[command] = asked.stdout
        self.flags = set()
        for text in self.helps.values():
            self.flags.update(re.findall(r"^  (-\w), ", text, re.M))
            self.flags.update(re.findall(r"^  (?:-\w,|   ) (--[\w-]+)", text, re.M))
        self.actions = set()
        for words in re.findall(r"lb backend ([\w|]+)", self.helps["backend"]):
            self.actions.update(words.split("|"))
        refused = output_of(binary, "-s", "?", status=2)
        self.signal_names = set(re.findall(r"\w+", re.search(r"must be (.*)", refused)[1])) - {"or"}
        self.statuses = set(re.findall(r"\b(\d) [a-z]", "".join(re.findall(r"^Exit status: ([^.]*)", self.helps[""], re.M))))

        def signals(path):
            code = re.sub(r"//.*", "", source(path))
            return set(re.findall(r"\bSIG([A-Z]\w*)\b", code))
        self.signals = signals("src/master/signals.cpp") | signals("src/shared/process/child.cpp")

        self.manual = output_of(binary, "--manual")
        dumped = output_of(binary, "-T", "-c", f"{ROOT}/tests/golden/cases/full.ini")
        self.keys = set()
        for part in re.split(r"^\[", dumped, flags=re.M)[1:]:
            kind = re.match(r"\w+", part)[0]
            self.keys.update((kind, key) for key in re.findall(r"^(\w+) = ", part, re.M))
        self.keys.update((head, key) for head, key in keys_of(self.manual))
        self.variables = set(re.findall(r'^\s*\{"(\w+)", *Variable::', source("src/shared/config/variables.h"), re.M))
        self.files = set(re.findall(r"(?:\\fB|: )(/(?:run|var|etc)/[\w./]+\w)", self.manual))
        self.environment = set()
        for text in sources():
            self.environment.update(re.findall(r'getenv\("(\w+)"\)', text))
            self.environment.update(re.findall(
                r'"((?:LISTEN|WATCHDOG)_[A-Z]+|NOTIFY_SOCKET|JOURNAL_STREAM)"', text))
            if "localtime_r(" in text:
                self.environment.add("TZ")  # libc asks for it
        catalog = source("src/shared/metrics/catalog.h")
        self.metrics = {name: None for name in re.findall(r'^\s*\{"(lb_\w+)", *Kind::', catalog, re.M)}
        ends = re.search(r"end_words\[\] = \{(.*?)\};", source("src/shared/metrics/end_reason.h"), re.S)[1]
        self.ends = set(re.findall(r'"(\w+)"', ends))
        self.installed = installed()
        self.exits = exits_of(binary)
        self.refusals = set()  # of the admin port
        for text in sources("src/master/admin"):
            self.refusals.update(re.findall(r"\b[rR]efusal[({](\d{3})\b", text))
        self.paths, self.fields = set(), set()
        for name in ("helps", "commands", "flags", "actions", "signal_names", "statuses", "signals", "keys", "variables",
                     "files", "environment", "metrics", "ends", "installed", "refusals"):
            assert getattr(self, name), f"nothing found of: {name}"

    def learn(self, page, index, documents):
        """What a running lb says of itself: {name: type} of /metrics, the paths of the admin port, the fields of its JSON."""
        self.fields = set(re.findall(r'"(\w+)":', documents))
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", page, re.M):
            self.metrics[name] = kind
        self.paths = set(re.findall(r"^(/\S+)", index, re.M))
        assert len(self.paths) > 5 and any(self.metrics.values())


def keys_of(page):
    """(section, key) of the KEYS part."""
    found = []
    for part in re.split(r"^\.SS \[", section(page, "KEYS"), flags=re.M)[1:]:
        kind = re.match(r"\w+", part)[0]
        found += [(kind, key) for key in re.findall(r"^\.TP\n\.B (\w+)$", part, re.M)]
        also = re.search(r"^Also, instead of what \[defaults\] says: (.*)$", part, re.M)
        found += [(kind, key) for key in re.findall(r"\\fB(\w+)\\fP", also[1] if also else "")]
    return found


def installed():
    """The files of the package that lb(8) must name, by what debhelper makes of packaging/deb. Directories end in /."""
    folder = f"{ROOT}/packaging/deb"
    places = {"service": "/lib/systemd/system/lb.service", "sysusers": "/usr/lib/sysusers.d/lb.conf",
              "tmpfiles": "/usr/lib/tmpfiles.d/lb.conf", "logrotate": "/etc/logrotate.d/lb"}
    named = {"examples", "dirs", "postrm", "bash-completion", "ufw"}  # read below, or put in place by rules
    files = {"/usr/share/doc/lb/"}
    for name in os.listdir(folder):
        kind = name.removeprefix("lb.")
        if kind in places:
            files.add(places[kind])
        elif name.startswith("lb.") and kind not in named:
            raise AssertionError(f"packaging/deb/{name}: say in check_manual.py where debhelper puts it")
    files.update(f"/{name}/" for name in source("packaging/deb/lb.dirs").split())
    if os.path.exists(f"{folder}/lb.examples"):
        files.add("/usr/share/doc/lb/examples/")
    for line in re.findall(r"^\tinstall (?!-d)(.*)$", source("packaging/deb/rules"), re.M):
        target = "/" + line.split()[-1].removeprefix("debian/lb/")
        if "*" in line:
            files.update(target + name for name in os.listdir(f"{folder}/libexec"))
        else:
            files.add(target)
    return files


def exits_of(binary):
    """Exit statuses as they are: {what was asked: status}. Of no lb that could be running here."""
    with Place() as place:
        path = f"{place.path}/exits.ini"

        def status(text, *words):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            options = ["-g", f"control = {place.path}/exits.sock", "-c", path]
            return subprocess.run([binary, *words, *options], capture_output=True, timeout=PATIENCE, check=False).returncode
        good = "[listener a]\nbind = 127.0.0.1:8080\npool = a\n[pool a]\nbackend = 127.0.0.1:8081\n"
        return {"good": status(good, "-T"), "bad": status("[pools]\n", "-T"), "no lb": status(good, "-s", "status"),
                "usage": status(good, "--nothing")}


# -- the checks: pages and facts in, mistakes out

def missing(what, wanted, have):
    return [f"{what} {name} is not there" for name in sorted(set(wanted) - set(have))]


def differs(what, wanted, have):
    """Nothing is missing, and nothing is there that lb does not have."""
    return missing(what, wanted, have) + [f"{what} {name} is nothing that lb has" for name in sorted(set(have) - set(wanted))]


def check_flags(pages, facts):
    have = {re.sub(r"[=\[].*", "", word) for word in entries_of(pages[PROGRAM], "OPTIONS", "COMMANDS")}
    flags = {word for word in have if word.startswith("-")}
    return differs("lb(8), OPTIONS and COMMANDS:", facts.flags | {"--manual"}, flags)


def check_commands(pages, facts):
    commands = plain(section(pages[PROGRAM], "COMMANDS"))
    there = [name for name in facts.commands if re.search(rf"^\.SS lb {name}\b", commands, re.M)]
    mistakes = missing("lb(8): the command", facts.commands, there)
    actions = re.findall(r'^\.(?:B|BI) "?lb backend (\w+)', commands, re.M)
    return mistakes + differs("lb(8): backend", facts.actions, actions)


def check_signal_names(pages, facts):
    entry = re.search(r"--signal.*?^\.RS\n(.*?)^\.RE$", plain(section(pages[PROGRAM], "OPTIONS")), re.M | re.S)
    return differs("lb(8): -s", facts.signal_names, re.findall(r"^\.TP\n\.B (\w+)$", entry[1] if entry else "", re.M))


def check_signals(pages, facts):
    return missing("lb(8), SIGNALS:", facts.signals, entries_of(pages[PROGRAM], "SIGNALS"))


def check_statuses(pages, facts):
    entries = re.findall(r"^\.TP\n\.B (\d+)$", section(pages[PROGRAM], "EXIT STATUS"), re.M)
    mistakes = differs("lb(8): exit status", facts.statuses, entries)
    expected = {"good": 0, "bad": 1, "no lb": 1, "usage": 2}
    return mistakes + [f"lb exits with {facts.exits[what]}, not {status}: {what}" for what, status in expected.items()
                       if facts.exits[what] != status]


def check_environment(pages, facts):
    return differs("lb(8), ENVIRONMENT:", facts.environment, entries_of(pages[PROGRAM], "ENVIRONMENT"))


def check_files(pages, facts):
    entries = {word for word in entries_of(pages[PROGRAM], "FILES") if word.startswith("/")}
    made = {"/var/log/lb/"}  # by the unit and tmpfiles, for what lb.ini as shipped writes
    own = facts.files | facts.installed | made
    named = set(re.findall(r"(?<![\w/])/[\w./-]+", plain(section(pages[PROGRAM], "FILES"))))
    return missing("lb(8), FILES:", own, named) + [f"lb(8), FILES: {name} is neither in the package nor lb's"
                                                   for name in sorted(entries - own)]


def check_keys(pages, facts):
    mistakes = missing("lb.ini(5), KEYS:", [f"[{s}] {k}" for s, k in facts.keys],
                       [f"[{s}] {k}" for s, k in keys_of(pages[SETTINGS])])
    for title in ("KEYS", "VARIABLES"):
        def bare(page, title=title):
            return re.sub(r'^\.\\".*\n', "", section(page, title), flags=re.M).strip()
        if bare(pages[SETTINGS]) != bare(facts.manual):
            mistakes.append(f"lb.ini(5): {title} is not what lb --manual prints: LB_UPDATE=1 ctest -R unit.config")
    return mistakes


def check_variables(pages, facts):
    entries = re.findall(r"^\.TP\n\.B \$(\w+?)(?:NAME)?$", section(pages[SETTINGS], "VARIABLES"), re.M)
    return differs("lb.ini(5): variable", facts.variables, entries)


def check_metrics(pages, facts):
    entries = dict(re.findall(r'^\.TP\n\.BR (lb_\w+) " \((\w+)\)"$', section(pages[METRICS], "METRICS"), re.M))
    mistakes = differs("lb-metrics(7): metric", facts.metrics, entries)
    for name, kind in facts.metrics.items():
        if kind and entries.get(name, kind) != kind:
            mistakes.append(f"lb-metrics(7): {name} is a {kind}")
    ends = re.findall(r'^\.TP\n\.BR (\w+) "', section(pages[METRICS], "ENDS"), re.M)
    return mistakes + differs("lb-metrics(7): end", facts.ends, ends)


def check_refusals(pages, facts):
    have = {word for word in entries_of(pages[METRICS], "CHANGES") if word.isdigit()}
    return differs("lb-metrics(7), CHANGES:", facts.refusals, have)


def check_paths(pages, facts):
    text = plain(pages[METRICS])
    return [f"lb-metrics(7): {path} is not there" for path in sorted(facts.paths) if not re.search(rf"{path}\b", text)]


def check_words(pages, facts):
    """A word with an underscore is a name of lb's: one that it has."""
    known = {key for _, key in facts.keys} | facts.variables | facts.ends | facts.fields | set(facts.metrics)
    known |= set(re.findall(r"[a-z_]+", section(facts.manual, "KEYS")))  # options and words of values
    known |= {f"{name}_{part}" for name, kind in facts.metrics.items() if kind == "histogram"
              for part in ("bucket", "sum", "count")}
    mistakes = []
    for name, page in pages.items():
        text = re.sub(r"^\.SH (KEYS|VARIABLES|METRICS|ENDS)\n.*?(?=^\.SH |\Z)", "", page, flags=re.M | re.S)
        words = set(re.findall(r"(?<![\w$/.{-])[a-z]+(?:_[a-z]+)+(?![\w(:/])", plain(text)))
        mistakes += [f"{name} speaks of {word}, which lb does not have" for word in sorted(words - OTHERS - known)]
    return mistakes


def check_help(_pages, facts):
    mistakes = []
    for command, text in facts.helps.items():
        lines = text.splitlines()
        if len(lines) > LINES or max(map(len, lines)) > COLUMNS:
            mistakes.append(f"lb {command} --help does not fit {LINES} lines of {COLUMNS} columns")
    return mistakes


def check_order(pages, _facts):
    mistakes = []
    for name, page in pages.items():
        titles = re.findall(r'^\.SH "?(.*?)"?$', page, re.M)
        if titles[:3] != ["NAME", "SYNOPSIS", "DESCRIPTION"] and titles[:2] != ["NAME", "DESCRIPTION"]:
            mistakes.append(f"{name}: begins with {', '.join(titles[:3])}")
        if titles[-1] != "SEE ALSO":
            mistakes.append(f"{name}: ends with {titles[-1]}")
    return mistakes


def check_roff(pages, _facts):
    """groff's own complaints. Where groff or its macros are missing there is nobody to ask."""
    if shutil.which("groff") is None:
        return []
    mistakes = []
    for name, page in pages.items():
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z"], input=page, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        mistakes += [f"{name}: {line}" for line in done.stderr.splitlines()]
    return mistakes


CHECKS = (check_flags, check_commands, check_signal_names, check_signals, check_statuses, check_environment, check_files,
          check_keys, check_variables, check_metrics, check_refusals, check_paths, check_words, check_help, check_order, check_roff)


# -- does each check find what it is for?

def self_test(binary, pages, facts):
    def planted(check, name, old, new, wanted):
        text = pages[name]
        changed = text.replace(old, new)
        assert changed != text, f"self-test of {check.__name__}: '{old}' is not in {name}"
        found = check({**pages, name: changed}, facts)
        assert any(wanted in mistake for mistake in found), f"{check.__name__} does not see: {wanted}: {found}"

    planted(check_flags, PROGRAM, r'.BR \-p ", " \-\-prefix', r'.BR \-\-other', "-p is not there")
    planted(check_flags, PROGRAM, r".BI \-\-listener", r".BI \-\-listen", "--listener is not there")
    planted(check_commands, PROGRAM, ".SS lb explain", ".SS lb explains", "command explain is not there")
    planted(check_commands, PROGRAM, "lb backend weight", "lb backend weigh", "backend weight is not there")
    planted(check_signal_names, PROGRAM, ".TP\n.B reopen\n", ".TP\n.B open\n", "-s reopen is not there")
    planted(check_signals, PROGRAM, "USR1", "USR9", "USR1 is not there")
    planted(check_statuses, PROGRAM, ".TP\n.B 2\n", ".TP\n.B 3\n", "exit status 2 is not there")
    planted(check_environment, PROGRAM, ".B NO_COLOR", ".B COLOR", "NO_COLOR is not there")
    planted(check_files, PROGRAM, ".I /var/lib/lb/state.json", ".I /var/lib/lb/state", "/var/lib/lb/state.json")
    planted(check_files, PROGRAM, "/etc/logrotate.d/lb", "/etc/logrotate.d/lbs", "/etc/logrotate.d/lb is not there")
    planted(check_files, PROGRAM, "/etc/logrotate.d/lb", "/etc/logrotate.d/lbs", "/etc/logrotate.d/lbs is neither")
    planted(check_files, PROGRAM, r"why\-not\-started", r"why\-not", "/usr/lib/lb/why-not-started is not there")
    planted(check_signal_names, PROGRAM, ".TP\n.B reopen\n", ".TP\n.B rotate\n", "-s rotate is nothing that lb has")
    planted(check_flags, PROGRAM, r".BI \-\-listener", r".BI \-\-listen", "--listen is nothing that lb has")
    planted(check_statuses, PROGRAM, ".TP\n.B 2\n", ".TP\n.B 3\n", "exit status 3 is nothing")
    planted(check_variables, SETTINGS, ".B $backend_status", ".B $backend_state", "variable backend_state is nothing")
    planted(check_metrics, METRICS, ".BR lb_tunnels ", ".BR lb_tunnel ", "metric lb_tunnel is nothing")
    planted(check_keys, SETTINGS, ".TP\n.B slow_start\n", ".TP\n.B slow\n", "[pool] slow_start is not there")
    planted(check_keys, SETTINGS, "Default: \\fBauto\\fP.", "Default: \\fB1\\fP.", "KEYS is not what")
    planted(check_variables, SETTINGS, ".B $backend_status", ".B $backend", "variable backend_status is not there")
    planted(check_metrics, METRICS, ".BR lb_tunnels ", ".BR lb_tunnel ", "metric lb_tunnels is not there")
    planted(check_metrics, METRICS, '.BR lb_tunnels " (gauge)"', '.BR lb_tunnels " (counter)"', "lb_tunnels is a gauge")
    planted(check_metrics, METRICS, ".BR queue_timeout ", ".BR timeout ", "end queue_timeout is not there")
    planted(check_refusals, METRICS, '.BR 417 ", " 501', '.BR 418 ", " 501', "417 is not there")
    planted(check_refusals, METRICS, '.BR 417 ", " 501', '.BR 418 ", " 501', "418 is nothing that lb has")
    planted(check_paths, METRICS, "/readyz", "/ready", "/readyz is not there")
    planted(check_words, PROGRAM, ".BR quit_timeout ", ".BR quit_time_out ", "speaks of quit_time_out")
    planted(check_words, METRICS, "rate(lb_exchanges_total{", "rate(lb_exchange_total{", "speaks of lb_exchange_total")
    planted(check_order, PROGRAM, ".SH SEE ALSO", ".SH SEE", "ends with SEE")
    if shutil.which("groff"):
        planted(check_roff, SETTINGS, ".SH EXAMPLES", ".SH EXAMPLES\n\\*[nothing]\n.EE\n.nosuch", "lb.ini.5")

    for what in facts.exits:
        other = copy.copy(facts)
        other.exits = {**facts.exits, what: 9}
        assert check_statuses(pages, other), f"check_statuses does not see another status: {what}"

    wide = Facts(binary)
    wide.helps["status"] += "x" * (COLUMNS + 1) + "\n"
    assert check_help(pages, wide), "check_help takes a line that is too long"
    wide.helps["status"] = "x\n" * (LINES + 1)
    assert check_help(pages, wide), "check_help takes a page that is too long"

    with Place() as place:
        text = dict(whole_configurations(pages[SETTINGS]))["By path"]
        assert try_example(binary, place, "By path", text.replace("[pool api]", "[pool apis]"))
        assert try_example(binary, place, "WebSocket", text), "a wrong answer of lb explain is not seen"
    wrong = pages[PROGRAM].replace(r"lb backend ready app/a1 \-c", r"lb backend ready app/a9 \-c")
    assert any("app/a9" in mistake for mistake in run_commands(binary, wrong)[0]), "a command that fails is not seen"


def main():
    binary = os.path.abspath(sys.argv[1])
    pages = {name: source(f"man/{name}") for name in (PROGRAM, SETTINGS, METRICS)}
    facts = Facts(binary)
    mistakes, tried = try_configurations(binary, pages, facts)
    more, commands, left_out = run_commands(binary, pages[PROGRAM])
    mistakes += more
    for check in CHECKS:
        mistakes += check(pages, facts)
    if not mistakes:
        self_test(binary, pages, facts)
    print("\n".join(mistakes) if mistakes else
          f"{len(facts.flags)} flags, {len(facts.keys)} keys, {len(facts.variables)} variables, {len(facts.metrics)} "
          f"metrics named; {tried} configurations run, {commands} commands run")
    for line in left_out:
        print(f"not run here: {line}")
    if shutil.which("groff") is None:
        print("no groff: what it thinks of the pages was not asked")
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
