"""Listeners on unix sockets: who may connect, what becomes of the file, and that nobody in the queue is lost."""
import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys

from lbtest import Client, pool

SYSTEMD_SOCKET_ACTIVATE = "systemd-socket-activate"


class UnixClient(Client):
    """A client of a path."""

    def __init__(self, story, path):  # pylint: disable=super-init-not-called - the others connect over TCP
        self.story, self.who = story, story._next("u")
        self.buffer, self.ended, self.asked = bytearray(), False, []
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        story.closes(self.sock)
        self.sock.connect(path)
        self.note(f"connects to {path}")


def get(t, path, target="/"):
    client = UnixClient(t, path)
    answer = client.get(target)
    client.close()
    return answer


def on(path, more=""):
    """The listener that these tests are about."""
    return f"[listener local]\nbind = unix:{path}{more}\npool = app\n"


def refused(t, path):
    try:
        UnixClient(t, path).close()
        return False
    except (FileNotFoundError, ConnectionRefusedError):
        return True


def test_all_workers_share_one_socket_and_its_file_goes_with_lb(t):
    path = t.path("web.sock")
    s1 = t.backend("s1")
    lb = t.lb(on(path) + pool(s1), workers=3)
    mode = os.stat(path)
    assert stat.S_ISSOCK(mode.st_mode) and stat.S_IMODE(mode.st_mode) == 0o666, oct(mode.st_mode)
    for _ in range(20):
        assert get(t, path).text == "s1"
    lb.wait_metric(20, "lb_listener_requests_total", listener="local")
    for worker in lb.workers()[:2]:
        lb.kill(worker)
    for _ in range(10):
        assert get(t, path).text == "s1", "whoever lives takes the next connection"
    lb.wait_metric(30, "lb_listener_requests_total", listener="local")
    assert f"listener local unix:{path}" in lb.command("status").out
    lb.signal("TERM")
    assert lb.wait_status() == 0
    assert not os.path.exists(path)


def test_quit_finishes_who_was_in_and_removes_the_file(t):
    gate, path = t.gate(), t.path("web.sock")

    def script(connection):
        connection.request()
        gate.wait()
        connection.answer()
    lb = t.lb(on(path) + pool(t.backend("s1", script)))
    busy = UnixClient(t, path)
    busy.ask("GET")
    lb.wait_metric(1, "lb_backend_in_flight")
    lb.signal("QUIT")
    t.wait(lambda: refused(t, path), "nobody new finds it")
    gate.open()
    assert busy.answer().text == "s1"
    assert lb.wait_status() == 0
    assert not [name for name in os.listdir(t.directory) if name.startswith("web.sock")], "under no name"


def test_a_reload_keeps_the_socket_and_one_without_it_takes_it_away(t):
    path = t.path("web.sock")
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb("[listener web]\n" + on(path) + pool(s1))
    before = os.stat(path).st_ino
    for backend in (s2, s1):
        lb.reload("[listener web]\n" + on(path, " backlog=16") + pool(backend))
        assert os.stat(path).st_ino == before
        assert get(t, path).text == backend.name
    kept = UnixClient(t, path)
    assert kept.get().text == "s1"
    lb.reload("[listener web]\n" + pool(s2))
    t.wait(lambda: refused(t, path), "it is gone")
    answer = kept.get()
    assert (answer.status, answer.get("Connection")) == (200, "close"), "who was in is finished by the old worker"
    lb.reload("[listener web]\n" + on(path) + pool(s2))
    assert get(t, path).text == "s2"


def test_a_reload_makes_a_socket_whose_file_is_gone_anew(t):
    path = t.path("web.sock")
    s1 = t.backend("s1")
    lb = t.lb(on(path) + pool(s1))
    os.unlink(path)
    lb.reload()
    assert get(t, path).text == "s1"
    os.unlink(path)
    other = socket.socket(socket.AF_UNIX)
    t.closes(other)
    other.bind(path)
    os.chmod(path, 0o666)
    other.listen(5)
    failed = lb.command("reload")
    assert failed.status != 0 and f"unix:{path}: the path is in use" in failed.text, failed.text
    other.close()
    lb.reload()
    assert get(t, path).text == "s1"


def test_no_connection_is_lost_over_reloads(t):
    path = t.path("web.sock")
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\n" + on(path) + pool(s1), workers=2)
    for _ in range(5):
        clients = [UnixClient(t, path) for _ in range(10)]
        for client in clients:
            client.ask("GET")
        lb.reload()
        for client in clients:
            assert client.answer().text == "s1"
            client.close()


def test_a_missing_directory_is_made(t):
    path = t.path("run/lb/web.sock")
    lb = t.lb(on(path) + pool(t.backend("s1")))
    assert get(t, path).text == "s1"
    another = t.path("more/web.sock")
    lb.reload(on(path) + f"[listener more]\nbind = unix:{another}\npool = app\n" + pool(t.backend("s1")))
    assert get(t, another).text == "s1"


def test_started_by_root_the_file_belongs_to_the_user_that_serves(t):
    if os.geteuid() != 0:
        return
    path = t.path("run/web.sock")
    lb = t.lb("[global]\nuser = nobody\n" + on(path) + pool(t.backend("s1")))
    nobody = pwd.getpwnam("nobody").pw_uid
    assert os.stat(path).st_uid == nobody and os.stat(os.path.dirname(path)).st_uid == nobody
    lb.reload()
    assert get(t, path).text == "s1"


def stale_file(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen(1)


def bad_file(t, path):
    return t.write("bad.ini", f"[global]\ncontrol = {t.path('c.sock')}\npid_file = {t.path('p')}\n[admin]\nbind = off\n" + on(path)
                   + pool("127.0.0.1:1"))


def test_a_stale_file_is_replaced(t):
    path = t.path("web.sock")
    stale_file(path)
    os.chmod(path, 0o600)
    if os.geteuid() == 0:  # the user that lb becomes must be able to replace it
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    assert t.run("-t", "-c", bad_file(t, path)).status == 0
    assert os.path.exists(path), "lb -t leaves it"
    t.lb(on(path) + pool(t.backend("s1")))
    assert get(t, path).text == "s1"


def test_a_killed_lb_leaves_a_file_that_the_next_one_replaces(t):
    path = t.path("web.sock")
    first = t.lb(on(path) + pool(t.backend("s1")))
    for pid in [first.pid, *first.children()]:
        os.kill(pid, signal.SIGKILL)
    assert first.wait_status() == -signal.SIGKILL
    assert os.path.exists(path)
    t.lb(on(path) + pool(t.backend("s2")))
    assert get(t, path).text == "s2"


def test_what_another_process_listens_on_is_refused_with_its_name(t):
    path = t.path("web.sock")
    theirs = socket.socket(socket.AF_UNIX)
    t.closes(theirs)
    theirs.bind(path)
    theirs.listen(16)
    os.chmod(path, 0o666)
    who = f"the path is in use, held by {open('/proc/self/comm', encoding='ascii').read().strip()} (pid {os.getpid()})"
    for flags in ((), ("-t",)):
        outcome = t.run(*flags, "-c", bad_file(t, path))
        assert outcome.status == 1 and f"unix:{path}" in outcome.err and who in outcome.err, outcome
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    # A reload that cannot have it changes nothing.
    lb = t.lb("[listener web]\n" + pool(t.backend("s1")))
    lb.configure("[listener web]\n" + on(path) + pool(t.backend("s1")))
    outcome = lb.command("reload")
    assert outcome.status == 1 and who in outcome.err, outcome
    assert t.get(lb).text == "s1"


def test_what_is_no_socket_is_never_removed(t):
    path = t.write("web.sock", "precious\n")
    for flags in ((), ("-t",)):
        outcome = t.run(*flags, "-c", bad_file(t, path))
        assert outcome.status == 1 and f"unix:{path}: there is something else at this path" in outcome.err.replace("bind = ", ""), outcome
    assert t.read("web.sock") == "precious\n"


def test_a_reload_that_fails_leaves_no_file(t):
    path, taken = t.path("web.sock"), t.socket()
    lb = t.lb("[listener web]\n" + pool(t.backend("s1")))
    lb.configure("[listener web]\n" + on(path) + f"[listener taken]\nbind = 127.0.0.1:{taken.port}\npool = app\n" + pool(t.backend("s1")))
    assert lb.command("reload").status == 1
    assert not os.path.exists(path)


def test_t_of_a_running_lb_finds_its_own_socket_good(t):
    path = t.path("web.sock")
    lb = t.lb(on(path) + pool(t.backend("s1")))
    # The inherited sockets of the other listeners are not there when it is asked; that is a warning.
    outcome = lb.run("-t", "-c", lb.config_path)
    assert outcome.status == 0, outcome
    assert get(t, path).text == "s1"


def test_t_tries_the_directories_and_leaves_nothing_behind(t):
    path = t.path("run/lb/web.sock")
    assert t.run("-t", "-c", bad_file(t, path)).status == 0
    assert not os.path.exists(t.path("run"))
    t.write("file", "x")
    base = f"[admin]\nbind = off\n[listener web]\nbind = unix:{t.path('w')}\n"
    good = {"control": t.path("c"), "pid_file": t.path("p"), "error_log": f"{t.path('e')} info"}
    for key, value in (("control", t.path("file/c.sock")), ("pid_file", t.path("file/p")), ("error_log", t.path("none/e")),
                       ("control", t.path("file"))):
        keys = "".join(f"{name} = {text}\n" for name, text in {**good, key: value}.items())
        outcome = t.run("-t", "-c", t.write("wrong.ini", f"[global]\n{keys}{base}"))
        assert outcome.status == 1 and f"{key}: {value}" in outcome.err, (key, outcome)
    left = sorted(os.listdir(t.directory))
    assert left == sorted({"bad.ini", "file", "wrong.ini"}), left


def test_t_tries_what_the_user_may_do_and_not_what_root_may(t):
    if os.geteuid() != 0:
        return
    os.mkdir(t.path("closed"), 0o700)
    os.mkdir(t.path("closed/deeper"), 0o700)
    good = {"control": t.path("c"), "pid_file": t.path("p"), "error_log": f"{t.path('e')} info"}
    for key in good:
        keys = "".join(f"{name} = {text}\n" for name, text in {**good, key: t.path("closed/x")}.items())
        outcome = t.run("-t", "-c", t.write("wrong.ini", f"[global]\nuser = nobody\n{keys}[admin]\nbind = off\n"
                                                         f"[listener web]\nbind = unix:{t.path('w')}\n"))
        assert outcome.status == 1 and f"{key}: {t.path('closed/x')}" in outcome.err, (key, outcome)
    outcome = t.run("-t", "-c", t.write("wrong.ini", f"[global]\nuser = nobody\ncontrol = {t.path('c')}\npid_file = {t.path('p')}\n"
                                                     f"[admin]\nbind = off\n[listener web]\nbind = unix:{t.path('closed/w')}\n"))
    assert outcome.status == 1 and t.path("closed") in outcome.err, outcome


def test_an_inherited_unix_socket_is_never_removed(t):
    path = t.path("given.sock")
    given = t.socket()
    given.sock.close()
    given.sock = socket.socket(socket.AF_UNIX)
    given.sock.bind(path)
    given.sock.listen(16)
    os.chmod(path, 0o666)
    t.closes(given.sock)
    lb = t.lb(f"[listener local]\nbind = {given}\npool = app\n" + pool(t.backend("s1")), sockets=[given], workers=2)
    assert get(t, path).text == "s1"
    lb.reload()
    assert get(t, path).text == "s1"
    lb.signal("TERM")
    assert lb.wait_status() == 0
    assert os.path.exists(path)


def test_systemd_hands_over_sockets(t):
    activate = shutil.which(SYSTEMD_SOCKET_ACTIVATE)
    if not activate:
        print(f"     {SYSTEMD_SOCKET_ACTIVATE} is not installed (Debian package: systemd)", file=sys.stderr)
        return
    path, port = t.path("web.sock"), t.free_port()
    config = t.write("activated.ini", f"[global]\nworkers = 1\ncontrol = {t.path('c.sock')}\npid_file = {t.path('p')}\n[admin]\nbind = off\n"
                                      f"[listener web]\nbind = fd:3\npool = app\n[listener local]\nbind = fd:4\npool = app\n"
                                      + pool(t.backend("s1"), more="check = off\n"))
    binary, t.binary = t.binary, activate
    try:
        # It waits for the first connection, and then becomes lb.
        lb = t.lb(argv=["-l", f"127.0.0.1:{port}", "-l", path, binary, "-c", config], ready=False)
    finally:
        t.binary = binary
    lb.wait_log("Listening on", path)
    os.chmod(path, 0o666)
    assert t.get(("127.0.0.1", port)).text == "s1"
    assert get(t, path).text == "s1"
    assert t.run("-c", config, "-s", "reload").status == 0
    assert get(t, path).text == "s1" and t.get(("127.0.0.1", port)).text == "s1"
    t.wait(lb.all_workers, "the old worker has ended")
    looked = 0
    for pid in (lb.pid, *lb.children()):
        # The old worker may be among the children still, with nothing left to be read of it.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError), open(f"/proc/{pid}/environ", "rb") as file:
            assert b"LISTEN_" not in file.read(), f"process {pid} passes on what was meant for lb alone"
            looked += 1
    assert looked >= 2, "the master and its worker"
    for number, text in (("fd:5", "was not open"), ("fd:3", None)):
        edited = t.read("activated.ini").replace("bind = fd:3", f"bind = {number}")
        t.write("activated.ini", edited)
        outcome = t.run("-c", config, "-s", "reload")
        assert (outcome.status == 0) == (text is None) and (text or "") in outcome.text, outcome
        t.write("activated.ini", edited.replace(f"bind = {number}", "bind = fd:3"))
    lb.signal("TERM")
    assert lb.wait_status() == 0
    assert os.path.exists(path), "the file is systemd's"


def test_a_real_client_asks_over_the_socket(t):
    path = t.path("web.sock")
    t.lb(on(path) + pool(t.backend("s1")))
    curl = shutil.which("curl")
    assert curl, "curl is part of the test tools"
    done = subprocess.run([curl, "-sS", "--unix-socket", path, "http://anything/"], capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (0, "s1"), done
