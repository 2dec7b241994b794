"""packaging/deb/lb.bash-completion in a real bash: keys go in on a terminal, readline cuts the words, and what is offered and what the
line became is read back. Every list is held to what the binary itself says, so that a new flag cannot be forgotten here.
"""
import os
import pty
import re
import signal
import subprocess
import threading
import time

from lbtest import pool

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
FILE = f"{ROOT}/packaging/deb/lb.bash-completion"
LIBRARY = "/usr/share/bash-completion/bash_completion"
SETTINGS = {"-c", "--config", "-p", "--prefix", "-g", "--set", "-h", "--help"}

# C-g writes down the line and what the last completion offered. The file appears whole.
BEGIN = r"""
PS1= ; HISTFILE=
bind 'set completion-query-items 0'; bind 'set page-completions off'; bind 'set enable-bracketed-paste off'
bind 'set bell-style none'
tell() { { printf '%s\n' "$READLINE_LINE"; printf '%s\n' "${offered[@]}"; } >"$ANSWER.new"; mv "$ANSWER.new" "$ANSWER"; offered=(); }
bind -x '"\C-g": tell'
"""
# What the function offers is kept, whichever way bash comes to call it.
WATCH = r"""
eval "was$(declare -f _lb)"
_lb() { was_lb "$@"; local status=$?; offered=("${COMPREPLY[@]}"); return $status; }
"""


class Shell:
    """An interactive bash of its own on a terminal of its own."""

    def __init__(self, t, begin="", path=None):
        self.t = t
        self.answer = t.path("answer")
        if not os.path.isdir(t.path("bin")):
            os.mkdir(t.path("bin"))
            os.symlink(t.binary, t.path("bin/lb"))
        start = t.write("start.bash", BEGIN + (begin or f"source {FILE}\n" + WATCH))
        self.end_of_ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--rcfile", start, "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=t.directory,
            start_new_session=True, env={"PATH": path or f"{t.path('bin')}:/usr/bin:/bin", "HOME": t.directory, "TERM": "dumb",
                                         "INPUTRC": "/dev/null", "ANSWER": self.answer, "LC_ALL": "C.UTF-8",
                                         "XDG_DATA_HOME": t.path("share")})
        os.close(theirs)
        self.said = b""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        try:
            while got := os.read(self.end_of_ours, 65536):
                self.said += got
        except OSError:  # bash has ended
            pass

    def type(self, text):
        """(the line after a tab behind the text, what was offered). ^ in the text: where the cursor stands."""
        if os.path.exists(self.answer):
            os.remove(self.answer)
        before, _, behind = text.partition("^")
        keys = before + behind + "\x02" * len(behind) + "\t\x07"
        os.write(self.end_of_ours, b"\x05\x15" + keys.encode())  # the end of the line, all of it away
        self.t.wait(lambda: os.path.exists(self.answer), f"bash answers to {text!r}; it said {self.said!r}", within=20)
        line, *offered = self.t.read("answer").splitlines()
        self.t.note("bash", f"{text!r} becomes {line!r}; offered: {offered}")
        return line, [each for each in offered if each]

    def offers(self, text):
        return self.type(text)[1]

    def line(self, text):
        return self.type(text)[0]

    def learns(self, text, line=None, offered=None):
        """Of a running lb: on a machine that is busy it may take longer than bash waits, so it is asked again while nothing comes."""
        def answered():
            became, names = self.type(text)
            return (became, set(names)) if names else None
        became, names = self.t.wait(answered, f"an answer to {text!r}", within=30)
        assert line is None or became == line, (became, line)
        assert offered is None or names == offered, (names, offered)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.end_of_ours)


def flags_in(text):
    return set(re.findall(r"^ +(?:(?:-\w, )| {4})(--[\w-]+)", text, re.MULTILINE)) | set(
        re.findall(r"^ +(-\w), --", text, re.MULTILINE))


def test_every_flag_that_help_names_is_offered_and_no_other(t):
    with Shell(t) as shell:
        wanted = flags_in(t.run("--help").out)
        assert len(wanted) >= 18 and {"-c", "--backends"} <= wanted, wanted
        offered = shell.offers("lb -")
        assert set(offered) == wanted and len(offered) == len(wanted), set(offered) ^ wanted
        for command, more, extra in (("status", "", set()), ("explain", "", set()), ("backend", "drain app/a1 ", {"-q", "--quiet"})):
            wanted = flags_in(t.run(command, "--help").out) | SETTINGS | extra
            assert len(wanted) > len(SETTINGS | extra), command
            assert set(shell.offers(f"lb {command} {more}-")) == wanted, command
        assert "--wait" not in shell.offers("lb backend ready app/a1 -")
        assert shell.offers("lb --ba") == ["--backends"] and shell.line("lb --ba") == "lb --backends "


def test_commands_actions_signals_and_keys_are_those_of_the_binary(t):
    with Shell(t) as shell:
        usage = t.run("--help").out
        assert set(shell.offers("lb ")) == set(re.findall(r"^ +lb ([a-z]+)", usage, re.MULTILINE)) >= {"demo", "status"}
        actions = re.findall(r"lb backend ([a-z|]+)", t.run("backend", "--help").out)
        assert set(shell.offers("lb backend ")) == {each for line in actions for each in line.split("|")} >= {"drain", "export"}
        names = set(re.search(r"--signal NAME +one of ([a-z ]+)$", usage, re.MULTILINE).group(1).split())
        offered = set(shell.offers("lb -s "))
        assert names == offered, offered ^ names
        assert set(shell.offers("lb -s re")) == {"reload", "reopen"} and shell.line("lb -s rel") == "lb -s reload "
        assert shell.line("lb --signal=qu") == "lb --signal=quit "
        section = re.search(r"^\.SS \[global\]\n(.*?)^\.SS", t.run("--manual").out, re.MULTILINE | re.DOTALL).group(1)
        keys = set(re.findall(r"^\.TP\n\.B (\w+)$", section, re.MULTILINE))
        assert "workers" in keys and {each.rstrip("=") for each in shell.offers("lb -g ")} == keys
        assert shell.line("lb -g wor") == "lb -g workers=", "and no blank"
        assert shell.line("lb -g accept=sh") == "lb -g accept=shared "
        assert shell.line("lb --set=daemon=of") == "lb --set=daemon=off "
        assert shell.line('lb -g "acc') == 'lb -g "accept="', "readline ends the quotes"
        assert shell.line("lb explain DEL") == "lb explain DELETE "
        # Nothing where nothing fits.
        for text in ("lb -t ", "lb -s reload ", "lb demo ", "lb demo -", "lb --from ", "lb backend export ", "lb explain GET http://x/ "):
            assert shell.type(text) == (text, []), text
        # The word under the cursor, whatever stands behind it.
        assert shell.line("lb backend dra^ app") == "lb backend drain app"
        assert shell.offers("lb ba^xyz") == ["backend"]


def test_files_where_files_belong(t):
    os.mkdir(t.path("folder"))
    t.write("my settings.ini", "")
    with Shell(t) as shell:
        assert shell.line("lb -c my") == r"lb -c my\ settings.ini "
        assert shell.line("lb -t --config=my") == r"lb -t --config=my\ settings.ini "
        assert shell.line("lb --config ~/my") == r"lb --config ~/my\ settings.ini "
        assert shell.line("lb -p fol") == "lb -p folder/" and shell.line("lb -p my") == "lb -p my", "directories alone"
        assert shell.line("lb -T > my") == r"lb -T > my\ settings.ini "
        assert shell.line("lb -g pid_file=fol") == "lb -g pid_file=folder/"


def test_what_runs_is_asked(t):
    s1, s2, s3 = (t.backend(f"s{n}") for n in range(3))
    inside = t.socket()
    lb = t.lb(pool(f"{s1} name=s0", s2) + f"[pool other]\nbackend = {s3} name=b1\ncheck = off\n[listener web]\npool = app\n"
              f"[listener inside]\nbind = {inside}\npool = other\n", sockets=[inside])
    asked = f"-c {lb.config_path}"
    port = str(s2).split(":")[1]
    with Shell(t) as shell:
        shell.learns(f"lb {asked} backend drain ", offered={"app/s0", f"app/127.0.0.1:{port}", "other/b1"})
        # readline cuts at the colon: what stands before it must not come twice.
        shell.learns(f"lb {asked} backend drain app/1", line=f"lb {asked} backend drain app/127.0.0.1:{port} ")
        shell.learns(f"lb {asked} backend maint app/127.0.0.1:{port[0]}", line=f"lb {asked} backend maint app/127.0.0.1:{port} ")
        shell.learns(f"lb backend weight {asked} other/", line=f"lb backend weight {asked} other/b1 ")
        assert shell.offers(f"lb backend weight {asked} other/b1 ") == ["default"]
        shell.learns(f"lb {asked} backend add ", offered={"app", "other"})
        assert lb.run("backend", "add", "other", "127.0.0.1:1 name=b2", "-c", lb.config_path).status == 0
        shell.learns(f"lb {asked} backend remove ", offered={"other/b2"})  # what the file has cannot be removed
        shell.learns(f"lb explain --config={lb.config_path} GET http://x/ --listener ", offered={"inside", "web"})
        shell.learns(f"lb explain {asked} --listener=in", line=f"lb explain {asked} --listener=inside ")
        mine = f"lb explain -c ~/{os.path.basename(lb.config_path)} --listener=in"
        shell.learns(mine, line=f"{mine}side ")


def test_an_lb_that_does_not_answer_holds_nobody_up(t):
    lb = t.lb(pool(f"{t.backend('s1')} name=s1"))
    with Shell(t) as shell:
        shell.learns(f"lb -c {lb.config_path} backend drain ", offered={"app/s1"})
        lb.signal("STOP")
        begin = time.monotonic()
        assert shell.offers(f"lb -c {lb.config_path} backend drain ") == []
        assert time.monotonic() - begin < 10
        lb.signal("CONT")
        assert shell.offers(f"lb -c {t.path('no.ini')} backend drain ") == []
        # Nothing that was typed is evaluated.
        for text in ("$(touch evil)", "`touch evil`", "'a;touch evil'", "a;touch evil"):
            shell.type(f"lb -c {text} backend drain ")
        assert not os.path.exists(t.path("evil"))


def test_live_build_is_left_alone(t):
    os.mkdir(t.path("other"))
    t.write("other/lb", "#!/bin/sh\ntouch was-run\n")
    os.chmod(t.path("other/lb"), 0o755)
    t.write("config.file", "")
    with Shell(t, path=f"{t.path('other')}:{t.path('bin')}:/usr/bin:/bin") as shell:
        assert shell.type("lb -") == ("lb -", [])
        assert shell.type("lb backend drain ")[1] == []
        assert shell.line("lb conf") == "lb config.file ", "files, as without a completion"
        assert shell.line(f"{t.path('bin')}/lb sta") == f"{t.path('bin')}/lb status ", "by its path it is ours"
        assert shell.line("~/bin/lb sta") == "~/bin/lb status "
        assert shell.line("bin/lb sta") == "bin/lb status "
    with Shell(t, path=f"{t.path('other')}:/usr/bin:/bin") as shell:
        assert shell.offers("lb -") == []
    assert not os.path.exists(t.path("was-run"))


def test_it_is_loaded_by_the_package_bash_completion_and_works_behind_sudo(t):
    if not os.path.exists(LIBRARY):
        print("bash-completion is missing: not tried with it")
        return
    os.makedirs(t.path("share/bash-completion/completions"))
    os.symlink(FILE, t.path("share/bash-completion/completions/lb"))
    with Shell(t, begin=f"source {LIBRARY}\n") as shell:
        assert shell.line("lb backend dr") == "lb backend drain "
        assert shell.line("sudo lb --signal=rel") == "sudo lb --signal=reload "
        assert shell.line("sudo lb -g accept=re") == "sudo lb -g accept=reuseport "
