"""The access log, line by line, where the lines go, and what becomes of them when somebody moves the file away or fills the disk."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess

from lbtest import pool
from lbtest.balancer import descriptors

TIME = r"[0-3]\d/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}:[0-2]\d:[0-5]\d:[0-6]\d [+-]\d{4}"


def log(t, form, name="access.log"):
    return f"[log main]\npath = {t.path(name)}\nformat = {form}\n"


def lines(t, count, name="access.log"):
    """Waits for that many whole lines: they are written in batches."""
    t.wait(lambda: t.read(name).count("\n") >= count, f"{count} lines in {name}")
    found = t.read(name).splitlines()
    assert len(found) == count, found
    return found


def test_combined_is_what_apache_and_nginx_write(t):
    s1 = t.backend("s1")
    lb = t.lb(log(t, "combined") + pool(s1))
    client = t.client(lb)
    client.get("/a?b=c", {"User-Agent": "teller/1.0", "Referer": "http://here.example/"})
    client.ask("HEAD", "/h")
    client.answer()
    client.send("nonsense\r\n\r\n")
    client.answer()
    first, second, third = lines(t, 3)
    assert re.fullmatch(r'127\.0\.0\.1 - - \[' + TIME + r'\] "GET /a\?b=c HTTP/1\.1" 200 2 "http://here\.example/" "teller/1\.0"', first)
    assert re.fullmatch(r'127\.0\.0\.1 - - \[' + TIME + r'\] "HEAD /h HTTP/1\.1" 200 0 "-" "-"', second)
    assert re.fullmatch(r'127\.0\.0\.1 - - \[' + TIME + r'\] "[^"]*" 400 \d+ "-" "-"', third)


def test_a_refused_request_is_told_by_its_line_though_empty_lines_lead(t):
    lb = t.lb(log(t, "combined") + pool(t.backend("s1")))
    client = t.client(lb)
    client.send("\r\n\r\nGET /bad HTTP/1.1\r\nno field\r\n\r\n")
    assert client.answer().status == 400
    line, = lines(t, 1)
    assert '"GET /bad HTTP/1.1" 400 ' in line, line


def test_json_tells_how_an_exchange_went(t):
    s1, s2 = t.refusing("s1"), t.backend("s2")
    lb = t.lb(log(t, "json") + pool(s1, f"{s2} name=two"))
    client = t.client(lb)
    for _ in range(2):
        client.post("/p", b"hello", {"User-Agent": "teller"})
    entries = [json.loads(line) for line in lines(t, 2)]
    retried = next(entry for entry in entries if entry["attempts"] == 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", retried.pop("time"))
    for name, least in (("request_time", 0), ("connect_time", 0), ("response_time", 0)):
        assert least <= retried.pop(name) < 5, name
    assert retried.pop("bytes_sent") > 30 and retried.pop("bytes_received") > 50
    wanted = {"client": "127.0.0.1", "listener": "web", "pool": "app", "backend": "two", "request": "POST /p HTTP/1.1",
              "status": 200, "end": "done", "attempts": 2, "body_bytes": 2, "referer": "", "user_agent": "teller"}
    assert {key: retried.get(key) for key in wanted} == wanted
    assert sorted(entry["attempts"] for entry in entries) == [1, 2]


def test_json_names_who_ended_it(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    lb = t.lb(log(t, "json") + pool(t.backend("s1", script)))
    client = t.client(lb)
    client.ask("GET")
    client.expect_gone()
    entry = json.loads(lines(t, 1)[0])
    assert (entry["status"], entry["end"], entry["body_bytes"]) == (200, "backend_cut", 4)


def test_nobody_can_forge_a_line(t):
    nasty = 'x" 200 0 "-" "y\\\tz\xe9'
    for form in ("combined", "json"):
        lb = t.lb(log(t, form, form) + pool(t.backend("s1")))
        client = t.client(lb)
        client.send(f"GET /\"quoted\\path HTTP/1.1\r\nHost: test\r\nUser-Agent: {nasty}\r\n\r\n")
        client.answer()
        line, = lines(t, 1, form)
        if form == "json":
            assert json.loads(line)["user_agent"].startswith('x" 200 0 "-" "y\\\tz')
        else:
            assert line.count('"') == 6, line
            assert line.endswith(r'"x\x22 200 0 \x22-\x22 \x22y\x5C\x09z\xE9"'), line
        lb.signal("TERM")
        assert lb.wait_status() == 0


# Every variable there is, and what it must be for the request of the next test.
EVERY = {
    "client_addr": r"127\.0\.0\.1", "client_port": r"CLIENT_PORT", "peer_addr": r"127\.0\.0\.1", "country": "-", "scheme": "http",
    "host": r"www\.example\.com", "method": "POST", "request": r"POST /a%20b\?x=1&v=2%2B HTTP/1\.1", "request_uri": r"/a%20b\?x=1&v=2%2B",
    "path": "/a%20b", "query": r"x=1&v=2%2B", "protocol": r"HTTP/1\.1", "request_id": "[!-~]{8,}", "http_user_agent": r"say \\x22hi\\x22",
    "http_none": "-", "cookie_session": "abc", "arg_v": r"2%2B", "listener": "web", "route": "-", "connection_requests": "2",
    "pid": r"\d+", "worker": "0", "time_local": TIME, "time_iso": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "time_unix": r"\d{10}\.\d{3}",
    "status": "201", "backend_status": "201", "response_x_made": r"by\\x09hand", "response_none": "-", "pool": "app", "backend": "two",
    "backend_addr": r"BACKEND", "backends": r"[^<>]*,two", "attempts": "2", "end": "done", "end_side": "-", "end_phase": "done",
    "bytes_sent": r"[1-9]\d+", "bytes_received": r"[1-9]\d+", "body_bytes": "4", "request_body_bytes": "5", "request_time": r"\d\.\d{3}",
    "head_time": r"\d\.\d{3}", "pick_time": r"\d\.\d{3}", "connect_time": r"\d\.\d{3}", "response_time": r"\d\.\d{3}",
    "transfer_time": r"\d\.\d{3}",
}


def test_a_format_of_ones_own_may_name_everything(t):
    def script(connection):
        for _ in range(2):
            connection.request()
            connection.send("HTTP/1.1 201 Created\r\nX-Made: by\thand\r\nContent-Length: 4\r\n\r\nmade")
    s1, s2 = t.refusing("s1"), t.backend("s2", script)
    form = "\"" + " ".join(f"{name}=<${name}>" for name in EVERY) + " price=$$1\""
    # Nearly all turns are the first one's, and it refuses.
    lb = t.lb(log(t, form) + pool(f"{s1} weight=100", f"{s2} name=two"))
    client = t.client(lb)
    fields = {"User-Agent": 'say "hi"', "Cookie": "a=b; session=abc"}
    for _ in range(2):
        client.post("/a%20b?x=1&v=2%2B", b"hello", fields, host="WWW.Example.com:8080")
    line = lines(t, 2)[1]
    assert line.endswith(" price=$1"), line
    got = dict(re.findall(r"(\w+)=<([^<>]*)>", line))
    assert got.keys() == EVERY.keys(), line
    for name, form in EVERY.items():
        form = form.replace("CLIENT_PORT", str(client.address[1])).replace("BACKEND", re.escape(str(s2)))
        assert re.fullmatch(form, got[name]), (name, got[name])
    first = dict(re.findall(r"(\w+)=<([^<>]*)>", lines(t, 2)[0]))
    assert (first["attempts"], first["backends"].count(","), first["connection_requests"]) == ("2", 1, "1"), first


def test_only_what_was_tried_is_told(t):
    form = '"$attempts [$backends] $end_phase $end"'
    first, second = t.refusing("s1"), t.refusing("s2")
    lb = t.lb(log(t, form) + pool(first))
    assert t.get(lb).status == 502
    lb.reload(log(t, form) + pool(f"{first} name=one", f"{second} name=two", more="check = off\n"))
    assert t.get(lb).status == 502
    one, two = lines(t, 2)
    assert one == f"1 [{first}] connect connect_failed", one
    assert two in ("2 [one,two] connect connect_failed", "2 [two,one] connect connect_failed"), two
    assert lb.metric("lb_retries_total") == 1


def test_an_answer_may_name_the_address_without_any_log(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1) + "[route all]\npool = app\nset_response_header = X-Addr $backend_addr\n")
    assert t.get(lb).get("X-Addr") == str(s1)


def test_json_is_json_whatever_is_sent(t):
    def script(connection):
        while True:
            connection.request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    lb = t.lb(log(t, "json") + pool(t.backend("s1", script)))
    nasty = [bytes(byte for byte in range(0x20, 0x7f)), bytes(range(0x80, 0x100)), b"\t\"\\/\x80", "\u20ac\u00e9\U0001f600".encode(),
             b"\xe2\x82", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\\u0000\\", b"a" * 5000 + b"\xe2\x82\xac"]
    client = t.client(lb)
    for value in nasty:
        client.send(b"GET /x HTTP/1.1\r\nHost: test\r\nUser-Agent: " + value + b"\r\nReferer: " + value + b"\r\n\r\n")
        assert client.answer().status == 200
    for broken in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /\x00\" HTTP/1.1\r\nHost: test\r\n\r\n", b"\"\\\xff\xfe {}\r\n\r\n",
                   b"GET / HTTP/9.9\r\n\r\n", b"GET /\xc3\xa9\" HTTP/1.1\r\nHost: test\r\n\r\n"):
        client = t.client(lb)
        client.send(broken + b"\r\n\r\n")
        assert client.answer().status in (400, 505)
    entries = [json.loads(line) for line in lines(t, len(nasty) + 5)]
    for value, entry in zip(nasty, entries):
        try:
            wanted = value.decode()
        except UnicodeDecodeError:
            continue
        assert entry["user_agent"] == wanted.strip()[:4096].rstrip("\u20ac"), (value[:80], entry["user_agent"][:80])
        assert entry["referer"] == entry["user_agent"]
    assert all(entry["status"] in (400, 505) and entry["end"] == "bad_request" and entry["backend"] == "" for entry in entries[len(nasty):])


def test_a_sample_is_what_it_says(t):
    lb = t.lb(log(t, "combined") + "sample = 50%\n" + pool(t.backend("s1")), workers=2)
    for _ in range(20):
        client = t.client(lb)
        for _ in range(100):
            client.get("/")
        client.close()
    lb.wait_metric(2000, "lb_listener_requests_total")
    t.wait(lambda: lb.metric("lb_log_lines_total") == t.read("access.log").count("\n"), "as many lines as are counted")
    lb.signal("TERM")
    assert lb.wait_status() == 0
    # 1000 are to be expected, with a standard deviation of 22.4: what is left out here happens once in 10^10 runs.
    assert abs(t.read("access.log").count("\n") - 1000) < 150


def test_lines_are_counted(t):
    lb = t.lb(log(t, "combined") + pool(t.backend("s1")), workers=2)
    for _ in range(7):
        t.get(lb)
    lb.wait_metric(7, "lb_log_lines_total")
    assert lb.metric("lb_log_lines_dropped_total") == 0
    lines(t, 7)


def test_a_full_disk_costs_lines_and_no_requests(t):
    lb = t.lb("[log main]\npath = /dev/full\n" + pool(t.backend("s1")))
    client = t.client(lb)
    for _ in range(50):
        assert client.get("/").status == 200
    lb.wait_metric(50, "lb_log_lines_dropped_total")
    assert lb.metric("lb_log_lines_total") == 0
    lb.wait_log("access log /dev/full", "No space left on device")
    assert len([line for line in lb.log if "/dev/full" in line]) == 1, "said once"


def test_a_disk_that_has_room_again_gets_whole_lines(t):
    disk = t.path("disk")
    os.mkdir(disk)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "none", disk], check=False).returncode != 0:
        t.note("test", "left out: only root can mount a small disk")
        return
    try:
        lb = t.lb(log(t, "combined", "disk/access.log") + pool(t.backend("s1")))
        client = t.client(lb)
        agent = {"User-Agent": "a" * 999}
        for number in range(300):
            assert client.get(f"/{number}", agent).status == 200
        t.wait(lambda: lb.metric("lb_log_lines_dropped_total") > 100, "lines are lost")
        lb.wait_log("disk/access.log", "No space left on device")
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        for number in range(300, 310):
            assert client.get(f"/{number}", agent).status == 200
        t.wait(lambda: lb.metric("lb_log_lines_total") + lb.metric("lb_log_lines_dropped_total") == 310, "all are accounted for")
        written = lb.metric("lb_log_lines_total")
        found = t.read("disk/access.log").splitlines()
        assert len(found) == written, (len(found), written)
        for line in found:
            assert re.fullmatch(r'127\.0\.0\.1 - - \[' + TIME + r'\] "GET /\d+ HTTP/1\.1" 200 2 "-" "a{999}"', line), line
        assert [line.split('"')[1] for line in found[-10:]] == [f"GET /{number} HTTP/1.1" for number in range(300, 310)]
        lb.wait_log("disk/access.log", "takes lines again")
        lb.signal("TERM")
        assert lb.wait_status() == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_reader_that_stops_reading_holds_up_nobody(t):
    fifo = t.path("fifo")
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        lb = t.lb(f"[log main]\npath = {fifo}\n" + pool(t.backend("s1")))
        client = t.client(lb)
        agent = {"User-Agent": "a" * 3000}
        with t.lasts(at_most=8):
            for number in range(200):  # many times what a FIFO holds
                assert client.get(f"/{number}", agent).status == 200
        got = b""

        def all_there():
            nonlocal got
            try:
                got += os.read(reader, 1 << 20)
            except BlockingIOError:
                pass
            return got.count(b"\n") == 200
        t.wait(all_there, "every line once somebody reads again")
        assert [line.split('"')[1] for line in got.decode().splitlines()] == [f"GET /{number} HTTP/1.1" for number in range(200)]
        assert lb.metric("lb_log_lines_dropped_total") == 0
    finally:
        os.close(reader)


def test_syslog_gets_a_message_for_each_line(t):
    if os.geteuid() != 0 or os.path.lexists("/dev/log"):
        t.note("test", "left out: the place of the syslog daemon's socket is root's, or taken by a daemon")
        return

    def listen():
        daemon = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        daemon.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        daemon.settimeout(10)
        return daemon
    daemon = listen()
    try:
        lb = t.lb('[log main]\npath = syslog\nformat = "$method $path $status \'$http_user_agent\'"\n' + pool(t.backend("s1")))
        client = t.client(lb)
        worker = lb.workers()[0]
        for number in range(3):
            client.get(f"/{number}", {"User-Agent": "one\ttwo"})
            message = daemon.recv(65536).decode()
            assert re.fullmatch(r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d lb\[" + str(worker) + r"\]: GET /" + str(number) +
                                r" 200 'one\\x09two'", message), message
        daemon.close()
        os.unlink("/dev/log")
        assert client.get("/nobody-hears").status == 200
        lb.wait_metric(1, "lb_log_lines_dropped_total")
        lb.wait_log("access log syslog", "lines are lost")
        daemon = listen()

        def heard():
            assert client.get("/again").status == 200
            daemon.settimeout(0.2)
            try:
                return "GET /again 200" in daemon.recv(65536).decode()
            except TimeoutError:
                return False
        t.wait(heard, "the daemon is found again")
        lb.wait_log("access log syslog", "takes lines again")
    finally:
        daemon.close()
        if os.path.lexists("/dev/log"):
            os.unlink("/dev/log")


def test_a_moved_log_is_opened_again(t):
    for tell in (lambda lb: lb.signal("USR1"), lambda lb: lb.command("reopen")):
        for name in ("access.log", "error.log", "access.1", "error.1"):
            if os.path.exists(t.path(name)):
                os.remove(t.path(name))
        lb = t.lb(f"[global]\nerror_log = {t.path('error.log')} info\n" + log(t, "combined") + pool(t.backend("s1")), workers=2)
        t.get(lb, "/before")
        lines(t, 1)
        for name in ("access", "error"):
            os.rename(t.path(f"{name}.log"), t.path(f"{name}.1"))
        assert t.read("access.log") == ""
        tell(lb)
        t.wait(lambda: os.path.exists(t.path("access.log")) and os.path.exists(t.path("error.log")), "both are there again")

        def lands_in_the_new_file():
            t.get(lb, "/after")
            return "/after" in t.read("access.log")
        t.wait(lands_in_the_new_file, "a line in the new file")
        t.wait(lambda: "[master" in t.read("error.log"), "the master's lines too")
        assert "/before" in t.read("access.1") and "/before" not in t.read("access.log")
        lb.signal("TERM")
        assert lb.wait_status() == 0


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def reopening(t, lb):
    """lb -s reopen that is under way."""
    return subprocess.Popen([t.binary, "-c", lb.config_path, "-s", "reopen"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def test_reopen_is_over_when_nobody_has_the_old_files_any_more(t):
    names = ("access.log", "error.log")
    lb = t.lb(f"[global]\nerror_log = {t.path('error.log')} info\n" + log(t, "combined") + pool(t.backend("s1")), workers=3)
    busy, *others = lb.workers()
    for name in names:
        os.rename(t.path(name), t.path(f"{name}.1"))
    with stopped(busy):
        command = reopening(t, lb)
        t.wait(lambda: all(t.path(name) in descriptors(pid).values() for pid in others for name in names), "the other workers have done it")
        t.wait(lambda: t.path("error.log") in descriptors(lb.admin_pid()).values(), "the admin process too")
        assert command.poll() is None, command.communicate()
    assert command.communicate(timeout=10) == ("logs reopened\n", "") and command.returncode == 0
    for pid in (lb.pid, lb.admin_pid(), *lb.workers()):
        files = descriptors(pid).values()
        assert not [file for file in files if file.endswith(".1")] and t.path("error.log") in files, (pid, files)


def test_reopen_names_a_worker_that_does_not_answer(t):
    lb = t.lb(log(t, "combined") + pool(t.backend("s1")), workers=2)
    silent = lb.workers()[0]
    with stopped(silent), t.lasts(at_least=1.9, at_most=8):
        outcome = lb.command("reopen")
    assert outcome.status == 1 and re.fullmatch(rf"lb: worker \d \(pid {silent}\) did not answer within 2 s\n", outcome.err), outcome
    lb.wait_log("error", f"(pid {silent}) did not answer")
    assert lb.command("reopen").status == 0


def test_reopen_says_what_a_worker_could_not_open(t):
    os.mkdir(t.path("logs"))
    os.chmod(t.path("logs"), 0o777)
    lb = t.lb(log(t, "combined", "logs/access.log") + pool(t.backend("s1")))
    worker, = lb.workers()
    os.remove(t.path("logs/access.log"))
    with stopped(worker):
        command = reopening(t, lb)
        t.wait(lambda: os.path.exists(t.path("logs/access.log")), "the master could open it")
        os.rename(t.path("logs"), t.path("gone"))
    out, err = command.communicate(timeout=10)
    assert (command.returncode, out, err) == (1, "", f"lb: worker 0 (pid {worker}): No such file or directory\n"), (out, err)
    lb.wait_log("access log", t.path("logs/access.log"), "No such file or directory")
    os.rename(t.path("gone"), t.path("logs"))
    assert lb.command("reopen").status == 0


def test_the_journal_learns_how_bad_a_line_is(t):
    """Standard error is a socket here, and $JOURNAL_STREAM names it, as a service manager does it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        status = os.fstat(theirs.fileno())
        for stream, prefix in ((f"{status.st_dev}:{status.st_ino}", "<3>"), (f"{status.st_dev}:{status.st_ino + 1}", "")):
            path = t.write("bad.ini", "[nonsense]\n[worse]\n")
            for more in (["-t"], ["-t", "-q"], ["-s", "stop", "-g", f"control = {t.path('none')}"]):
                done = subprocess.run([t.binary, "-c", path, *more], env={**os.environ, "JOURNAL_STREAM": stream}, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False)
                said = ours.recv(65536).decode().splitlines()
                assert done.returncode == 1 and said and not done.stdout, (more, done)
                for line in said:
                    assert line.startswith(prefix) and line.startswith("<") == bool(prefix), (more, said)


def test_every_line_is_written_before_the_end(t):
    lb = t.lb(log(t, "combined") + pool(t.backend("s1")))
    client = t.client(lb)
    for number in range(50):
        client.get(f"/{number}")
    lb.signal("TERM")
    assert lb.wait_status() == 0
    assert [line.split('"')[1] for line in t.read("access.log").splitlines()] == [f"GET /{n} HTTP/1.1" for n in range(50)]


def test_stdout_and_off(t):
    s1, quiet = t.backend("s1"), t.socket()
    lb = t.lb("[log main]\npath = stdout\n[listener web]\n" + f"[listener quiet]\nbind = {quiet}\naccess_log = off\npool = app\n" + pool(s1),
              sockets=[quiet])
    t.get(quiet, "/unheard")
    t.get(lb, "/heard")
    t.wait(lambda: lb.out, "a line on standard output")
    assert len(lb.out) == 1 and '"GET /heard HTTP/1.1" 200' in lb.out[0], lb.out


def test_without_a_log_section_there_is_none(t):
    lb = t.lb(pool(t.backend("s1")))
    t.get(lb)
    assert lb.out == [] and not [name for name in os.listdir(t.directory) if "access" in name]


def test_the_error_log_says_when_who_and_what(t):
    lb = t.lb(pool(t.backend("s1")))
    for line in lb.log:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|notice|warn|error) +\[[a-z0-9 ]+ \d+\] ", line), line
    assert lb.log
