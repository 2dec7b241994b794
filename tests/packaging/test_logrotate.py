"""packaging/deb/lb.logrotate in a real logrotate: the file as shipped, only its paths and owners turned to those of the test, rotates the
logs of an lb that serves without a pause.
"""
import gzip
import grp
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import threading

from lbtest import pool

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LOGROTATE = shutil.which("logrotate", path="/usr/sbin:/sbin:/usr/bin")

if not LOGROTATE:
    print("logrotate is not installed (Debian package: logrotate)")
    sys.exit(0)


def account():
    """Whom lb serves as here, as lb itself chooses, and a group of his."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("lb")
    except KeyError:
        return pwd.getpwnam("nobody")


class Rotation:
    def __init__(self, t):
        self.t, self.who = t, account()
        self.group = grp.getgrgid(self.who.pw_gid).gr_name
        self.logs = t.path("log")
        os.mkdir(self.logs, 0o750)
        os.chown(self.logs, self.who.pw_uid, self.who.pw_gid)
        with open(f"{ROOT}/packaging/deb/lb.logrotate", encoding="utf-8") as file:
            text = file.read()
        for shipped, ours in (("/var/log/lb", self.logs), ("lb adm", f"{self.who.pw_name} {self.group}"),
                              ("/usr/sbin/lb", t.path("lb"))):
            assert shipped in text, f"{shipped} is not in it any more"
            text = text.replace(shipped, ours)
        self.file = t.write("rotate", text)
        os.chmod(self.file, 0o644)

    def stands_for_lb(self, script):
        self.t.write("lb", f"#!/bin/sh\n{script}\n")
        os.chmod(self.t.path("lb"), 0o755)

    def run(self):
        done = subprocess.run([LOGROTATE, "--force", "--verbose", "--state", self.t.path("state"), self.file],
                              capture_output=True, text=True, timeout=60, check=False, cwd=self.t.directory)
        self.t.note("logrotate", f"status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def read(self, name):
        opener = gzip.open if name.endswith(".gz") else open
        with opener(f"{self.logs}/{name}", "rt", encoding="utf-8") as file:
            return file.read()


def test_no_line_is_lost_and_none_comes_twice_while_logs_are_rotated_under_load(t):
    rotation = Rotation(t)
    lb = t.lb(f"[global]\nerror_log = {rotation.logs}/error.log info\n[log main]\npath = {rotation.logs}/access.log\n"
              "format = \"$request_uri\"\n[listener web]\naccess_log = main\npool = app\n" + pool(t.backend("s1")), workers=2)
    rotation.stands_for_lb(f'exec {t.binary} "$@" -c {lb.config_path}')
    assert stat.S_IMODE(os.stat(f"{rotation.logs}/access.log").st_mode) & 0o027 == 0, "lb makes its logs as private as logrotate does"
    asked, over = [0], threading.Event()

    def ask():
        while not over.is_set():
            client = t.client(lb)
            for _ in range(20):
                assert client.get(f"/{asked[0]}").status == 200
                asked[0] += 1
            client.close()

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for name in ("access.log.1", "access.log.2.gz", "access.log.3.gz"):
            before = asked[0]
            t.wait(lambda: asked[0] > before + 50, "requests come")
            t.wait(lambda: os.path.getsize(f"{rotation.logs}/access.log") > 0, "lines are written")
            done = rotation.run()
            assert done.returncode == 0
            assert os.geteuid() != 0 or f"to {rotation.who.pw_uid} " in done.stderr, "root works there as the user of lb"
            assert os.path.exists(f"{rotation.logs}/{name}"), os.listdir(rotation.logs)
            # logrotate has ended, so lb has answered: nothing goes into the old file any more.
            old = os.path.getsize(f"{rotation.logs}/access.log.1")
            now = asked[0]
            t.wait(lambda: f"/{now + 20}\n" in rotation.read("access.log"), "a line in the new file")
            assert os.path.getsize(f"{rotation.logs}/access.log.1") == old
            made = os.stat(f"{rotation.logs}/access.log")
            assert stat.S_IMODE(made.st_mode) == 0o640 and made.st_uid == rotation.who.pw_uid
    finally:
        over.set()
        asker.join()
    lb.signal("TERM")
    assert lb.wait_status() == 0
    names = sorted(name for name in os.listdir(rotation.logs) if name.startswith("access"))
    assert names == ["access.log", "access.log.1", "access.log.2.gz", "access.log.3.gz"], names
    lines = [line for name in names for line in rotation.read(name).splitlines()]
    assert sorted(lines) == sorted(f"/{number}" for number in range(asked[0])), (len(lines), asked[0])
    assert all(rotation.read(name) for name in names)
    assert any(name.startswith("error.log.1") for name in os.listdir(rotation.logs)), "the error log too"


def test_what_keeps_lb_from_opening_its_logs_again_is_told(t):
    rotation = Rotation(t)

    def rotate():
        with open(f"{rotation.logs}/access.log", "a", encoding="utf-8") as file:
            file.write("line\n")
        os.chown(f"{rotation.logs}/access.log", rotation.who.pw_uid, rotation.who.pw_gid)
        return rotation.run()

    assert rotation.run().returncode == 0, "no logs yet"
    assert rotate().returncode == 0, "lb is not installed any more"
    # None runs: there is no such socket, or one that nobody listens on.
    rotation.stands_for_lb(f'exec {t.binary} "$@" -g control={t.path("none.sock")} --backends=http://127.0.0.1:1')
    assert rotate().returncode == 0
    lb = t.lb(pool(t.backend("s1")))
    rotation.stands_for_lb(f'exec {t.binary} "$@" -c {lb.config_path}')
    lb.kill(lb.pid)
    assert lb.wait_status() == -9
    assert rotate().returncode == 0
    rotation.stands_for_lb("echo 'it is in flames' >&2; exit 1")
    done = rotate()
    assert done.returncode != 0 and "it is in flames" in done.stderr
    assert re.search(r"^line$", rotation.read("access.log.1"), re.MULTILINE)
