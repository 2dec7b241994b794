"""The access log, line by line, and what becomes of it when somebody moves the file away."""
import json
import os
import re

from lbtest import pool

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
    assert retried == {"client": "127.0.0.1", "listener": "web", "pool": "app", "backend": "two", "request": "POST /p HTTP/1.1",
                       "status": 200, "end": "done", "attempts": 2, "body_bytes": 2, "referer": "", "user_agent": "teller"}
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
