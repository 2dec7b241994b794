"""The command line: what each flag prints, and with which status it ends."""
import os
import re
import shutil
import socket
import subprocess

from lbtest import pool

GOOD = """[global]
workers = 2
control = {directory}/control.sock
pid_file = {directory}/lb.pid
[admin]
bind = 127.0.0.1:{admin}
[log main]
path = {directory}/access.log
format = json
[listener web]
bind = 127.0.0.1:{web}
bind = [::1]:{web}
access_log = main
pool = app
[pool app]
balance = least_conn
backend = 127.0.0.1:8081 weight=2 name=a1
backend = [::1]:8082 backup
check = http GET /healthz expect=200-299 interval=2s timeout=1s rise=2 fall=3
"""


def free_port(t):
    """One that is free on both loopbacks: lb -t tries to bind what it checks."""
    def free():
        port = t.free_port()
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", port))
            except OSError:
                return None
        return port
    return t.wait(free, "a free port")


def good_file(t):
    web, admin = free_port(t), t.free_port()
    while admin == web:
        admin = t.free_port()
    return t.write("good.ini", GOOD.format(directory=t.directory, web=web, admin=admin))


def test_t_says_that_a_good_file_is_good_and_leaves_nothing_behind(t):
    path = good_file(t)
    before = sorted(os.listdir(t.directory))
    outcome = t.run("-t", "-c", path)
    assert outcome.status == 0 and "good" in outcome.text, outcome
    assert sorted(os.listdir(t.directory)) == before, "no log, no socket, no pid file"
    assert t.run("--test", "--config", path).status == 0


def test_q_keeps_t_silent_unless_something_is_wrong(t):
    outcome = t.run("-q", "-t", "-c", good_file(t))
    assert (outcome.status, outcome.text) == (0, ""), outcome
    outcome = t.run("-q", "-t", "-c", t.write("bad.ini", "[nonsense]\n"))
    assert outcome.status == 1 and "nonsense" in outcome.err, outcome


MISTAKES = [
    ("[globl]", "globl"),
    ("[global]", None),
    ("workrs = 2", "did you mean 'workers'"),
    ("quit_timeout = 5", "unit"),
    ("[defaults]", None),
    ("max_header = 1x", "max_header"),
    ("header_timeout = ten", "header_timeout"),
    ("[listener web]", None),
    ("bind = 127.0.0.1:99999", "port"),
    ("pool = ap", "ap"),
    ("[pool app]", None),
    ("balance = robin", "balance"),
    ("backend = 127.0.0.1:8081 weight=x", "weight"),
    ("check = smtp interval=2s", "check"),
    ("retries = 99", "retries"),
]


def test_ten_mistakes_make_ten_lines_each_with_its_place(t):
    path = t.write("wrong.ini", "".join(line + "\n" for line, _ in MISTAKES))
    outcome = t.run("-t", "-c", path)
    assert outcome.status == 1, outcome
    wanted = {number: word for number, (_, word) in enumerate(MISTAKES, 1) if word}
    places = [re.match(re.escape(path) + r":(\d+): (.*)", line) for line in outcome.err.splitlines()]
    told = {int(place[1]): place[2] for place in places if place}
    assert told.keys() >= wanted.keys(), (sorted(wanted.keys() - told.keys()), outcome)
    for number, word in wanted.items():
        assert word in told[number], (MISTAKES[number - 1], told[number])
    assert len(wanted) >= 10


def test_capital_t_prints_a_configuration_that_loads_again(t):
    first = t.run("-T", "-c", good_file(t))
    assert first.status == 0, first
    again = t.write("again.ini", first.out)
    second = t.run("-T", "-c", again)
    assert second.status == 0 and second.out == first.out, (first, second)


def test_g_lays_a_key_over_the_file(t):
    outcome = t.run("-T", "-c", good_file(t), "-g", "workers = 7", "-g", "quit_timeout = 3s")
    assert outcome.status == 0 and re.search(r"^workers\s*=\s*7$", outcome.out, re.M), outcome
    assert re.search(r"^quit_timeout\s*=\s*3s$", outcome.out, re.M), outcome
    outcome = t.run("-t", "-c", good_file(t), "-g", "workrs = 7")
    assert outcome.status == 1 and "workrs" in outcome.err, outcome


def test_p_is_where_relative_paths_start(t):
    os.mkdir(t.path("prefix"))
    t.write("prefix/conf.ini", "[global]\ncontrol = run/control.sock\ninclude = more/*.ini\n" + pool("127.0.0.1:8081"))
    os.mkdir(t.path("prefix/more"))
    t.write("prefix/more/web.ini", "[listener web]\nbind = 127.0.0.1:8080\npool = app\n")
    outcome = t.run("-p", t.path("prefix"), "-c", "conf.ini", "-T")
    assert outcome.status == 0 and t.path("prefix/run/control.sock") in outcome.out and "127.0.0.1:8080" in outcome.out, outcome


def test_a_mistake_in_an_included_file_names_that_file(t):
    included = t.write("more.ini", "[pool app]\nbackend = 127.0.0.1:8081\nchek = tcp\n")
    path = t.write("main.ini", f"[global]\ninclude = {included}\n[listener web]\nbind = 127.0.0.1:8080\npool = app\n")
    outcome = t.run("-t", "-c", path)
    assert outcome.status == 1 and f"{included}:3:" in outcome.err, outcome


def test_version_and_help(t):
    short, long_form = t.run("-v"), t.run("-V")
    assert short.status == long_form.status == 0
    assert re.fullmatch(r"lb \d+\.\d+\.\d+\n", short.text), short
    assert short.text.split()[1] in long_form.text and len(long_form.text) > len(short.text)
    helped = t.run("-h")
    assert helped.status == 0 and helped.out == t.run("--help").out
    for flag in ("-c", "-t", "-T", "-g", "-p", "-s", "-q", "-v", "-V", "--backends", "--port", "handover", "man 8 lb"):
        assert flag in helped.out, flag
    assert t.run("demo", "--help").out == t.run("demo", "-h").out == helped.out


ONE = "--backends=http://127.0.0.1:1"
WRONG_USAGE = [
    ["--nonsense"], ["-x"], ["-c"], ["-s"], ["-s", "dance"], ["-s", ""], ["stray"], ["-g"], ["--port"], ["-p"], [""], ["-t", "stray"],
    ["-g", "workers"], ["-t", "-g", "workers"], ["-g", "workers=1", "-g", "x"], ["--port=80"], [ONE, "--port=abc"], [ONE, "--port=0"],
    [ONE, "--port=65536"], [ONE, "--port=-1"], [ONE, "--port", "80x", "-t"], [ONE, "--port=abc", "-T"], [ONE, "--port=abc", "-s", "stop"],
    ["--backends="], ["--backends=,"], ["--backends=http://"], ["--backends=https://127.0.0.1:1"], ["--backends=127.0.0.1:x"],
    ["--backends=127.0.0.1:0"], ["--backends=http://127.0.0.1:1/path"], ["-c", "x", ONE], ["-q"], ["-v", "-V"], ["status", "more"],
    ["explain"], ["explain", "GET", "/"], ["explain", "GET", "http://h/", "--from=here"], ["explain", "GET", "http://h/" + 4096 * "x"],
    ["backend"], ["backend", "drain"], ["backend", "drain", "app"], ["backend", "drain", "a/b", "--wait=x"],
    ["backend", "weight", "a/b", "0"], ["demo", "x"], ["demo", "0"], ["demo", "1", "1"], ["demo", *map(str, range(1, 18))], ["demo", "-x"],
]


def test_wrong_usage_ends_with_2_and_says_how_to_get_help(t):
    for arguments in WRONG_USAGE:
        outcome = t.run(*arguments)
        assert outcome.status == 2 and not outcome.out, (arguments, outcome)
        what, how = outcome.err.splitlines()
        assert re.match("lb( demo)?: .", what) and re.fullmatch("Try 'lb( explain)? --help'\\.", how), (arguments, outcome)


def closed(t, name, text):
    """A file that nobody but root, or whoever runs the test, can read."""
    path = t.write(name, text)
    os.chmod(path, 0o600)
    return path


def test_t_names_all_that_the_user_cannot_read_whom_root_becomes(t):
    if os.geteuid() != 0:
        t.note("test", "left out: only root becomes another user")
        return
    token = closed(t, "admin.token", "secret-token-0123456789\n")
    more = closed(t, "more.ini", "[pool other]\nbackend = 127.0.0.1:1\n")
    path = t.write("closed.ini", f"[global]\nuser = nobody\nstate_file = off\ncontrol = {t.path('c')}\npid_file = off\ninclude = {more}\n"
                                 f"[admin]\nbind = off\ntoken_file = {token}\n[listener web]\nbind = unix:{t.path('w')}\n")
    for quiet in ([], ["-q"]):
        outcome = t.run("-t", *quiet, "-c", path)
        assert outcome.status == 1 and "good" not in outcome.text, outcome
        told = [line for line in outcome.err.splitlines() if line.startswith("as user 'nobody': ")]
        assert len(told) == 2 and any(token in line for line in told) and any(more in line for line in told), outcome
    lb = t.lb(argv=["-c", path], ready=False)
    for name in (token, more):
        lb.wait_log("warn", "a reload will fail", name)
    os.chown(token, 0, 65534)
    os.chmod(token, 0o640)
    os.chmod(more, 0o644)
    outcome = t.run("-t", "-c", path)
    assert outcome.status == 0 and "good" in outcome.err, outcome


def test_t_looks_at_the_state_file_and_leaves_it_alone(t):
    def warns(state, *parts):
        path = good_file(t)
        at = ["-c", path, "-g", f"state_file = {state}"]
        outcome = t.run("-t", *at)
        assert outcome.status == 0 and "the configuration is good" in outcome.err, outcome
        told = [line for line in outcome.err.splitlines() if line.startswith("warning: state_file ")]
        assert bool(told) == bool(parts) and all(any(part in line for line in told) for part in parts), (parts, outcome)
        quiet = t.run("-t", "-q", *at)
        assert (quiet.status, quiet.text) == (0, ""), quiet

    os.chmod(t.write("state.json", "no json"), 0o644)
    before = sorted(os.listdir(t.directory) + ["good.ini"])
    warns(t.path("state.json"), t.path("state.json"), "JSON")
    assert sorted(os.listdir(t.directory)) == before and t.read("state.json") == "no json"
    warns(t.path("state.json/deeper/state"), "Not a directory")
    warns(t.directory, "it is no regular file")
    warns(t.path("new.json"))
    warns(t.path("not/there/yet/new.json"))
    if os.geteuid() == 0:
        closed(t, "closed.json", '{"lb_state": 1}')
        warns(t.path("closed.json"), "Permission denied; nothing of it is in force")
        os.mkdir(t.path("private"), 0o700)
        warns(t.path("private/state.json"), "Permission denied")
        os.chmod(t.path("private"), 0o755)
        warns(t.path("private/state.json"), f"cannot be written: {t.path('private')}: Permission denied")


def test_a_missing_file_ends_with_1_and_its_name(t):
    for arguments in ([], ["-t"], ["-T"]):
        outcome = t.run(*arguments, "-c", t.path("none.ini"))
        assert outcome.status == 1 and t.path("none.ini") in outcome.err, outcome


def test_a_taken_port_is_said_with_its_listener(t):
    taken = t.socket()
    path = t.write("taken.ini", f"[global]\ncontrol = {t.path('c.sock')}\npid_file = {t.path('p')}\n[admin]\nbind = off\n"
                                f"[listener web]\nbind = 127.0.0.1:{taken.port}\n")
    outcome = t.run("-c", path)
    assert outcome.status == 1 and str(taken.port) in outcome.err, outcome
    assert not os.path.exists(t.path("c.sock")) and not os.path.exists(t.path("p"))


def test_what_does_not_exist_is_refused(t):
    path = t.write("unknown.ini", "[listener web]\nbind = 127.0.0.1:8080 tls\npool = app\n[pool app]\nbackend = 127.0.0.1:1\ndiscover = etcd 127.0.0.1:1 prefix=/x\n"
                                "[route r]\npath = /\n")
    outcome = t.run("-t", "-c", path)
    assert outcome.status == 1, outcome
    for line in (2, 6, 7):
        assert f"{path}:{line}:" in outcome.err, outcome


def test_a_full_disk_is_a_failure_and_no_crash(t):
    lb = t.lb(pool(t.backend("s1")) + "[pool large]\ncheck = off\n" + "".join(f"backend = 127.0.0.1:{n}\n" for n in range(1, 101)))
    at = ["-c", lb.config_path]
    assert t.run("backend", "weight", "large/127.0.0.1:7", "5", *at).status == 0
    for arguments in (["status", *at], ["status", "--json", *at], ["-s", "status", *at], ["explain", "GET", "http://test/", *at],
                      ["-s", "reload", *at], ["backend", "export", *at], ["-T", *at], ["-h"], ["-V"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([t.binary, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
        assert done.returncode == 1 and b"terminate" not in done.stderr, (arguments, done)


def test_the_example_of_an_autoscaler_loads(t):
    """As its README starts it; it is not run here, because it has ports of its own."""
    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "examples", "autoscale")
    for name in ("lb.ini", "backends.list"):
        shutil.copy(os.path.join(example, name), t.path(name))
    os.chmod(t.write("admin.token", "secret-token-0123456789\n"), 0o600)
    outcome = t.run("-T", "-c", t.path("lb.ini"))
    assert outcome.status == 0 and "target_inflight = 8" in outcome.out and not outcome.err, outcome
