"""packaging/deb/certbot/deploy-hook, called as certbot calls it, with real keys and certificates in false lineages: what it accepts it puts
into place whole, what it refuses leaves everything as it was.
"""
import os
import shutil
import stat
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
HOOK = f"{ROOT}/packaging/deb/certbot/deploy-hook"

if not shutil.which("openssl"):
    print("openssl is not installed (Debian package: openssl)")
    sys.exit(0)


class Certbot:
    def __init__(self, t, name="example.com"):
        self.t, self.directory = t, t.path("tls")
        self.lineage = f"{t.directory}/live/{name}"
        os.makedirs(self.lineage)
        os.mkdir(t.path("bin"))
        # Stands for systemctl: writes down how it was called, fails where the test says so.
        self._program("systemctl", 'echo "$*" >>"$CALLED"; exit "${SYSTEMCTL_STATUS:-0}"')
        # The real one takes as long as the disk is busy with others.
        self._program("sync", 'echo "$*" >>"$SYNCED"')

    def _program(self, name, script):
        path = self.t.path(f"bin/{name}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/bash\n{script}\n")
        os.chmod(path, 0o755)

    def issue(self, kind="ec", lineage=None):
        """A new key and two certificates, as chain, in the lineage."""
        lineage = lineage or self.lineage
        for number in (2, 1):  # the first of the chain last: it is the one whose key stays
            with open(f"{lineage}/privkey.pem", "wb") as key:
                key.write(self._openssl("genpkey", *(("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256") if kind == "ec" else
                                                     ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"))))
            with open(f"{lineage}/chain{number}.pem", "wb") as file:
                file.write(self._openssl("req", "-x509", "-new", "-key", f"{lineage}/privkey.pem", "-subj", "/CN=example.com"))
        self.write("fullchain.pem", self.read(f"{lineage}/chain1.pem") + self.read(f"{lineage}/chain2.pem"), lineage)

    @staticmethod
    def _openssl(*words):
        return subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60).stdout

    def write(self, name, text, lineage=None):
        with open(f"{lineage or self.lineage}/{name}", "w", encoding="latin-1") as file:
            file.write(text)

    @staticmethod
    def read(path):
        with open(path, encoding="latin-1") as file:
            return file.read()

    def whole(self):
        return self.read(f"{self.lineage}/fullchain.pem") + "\n" + self.read(f"{self.lineage}/privkey.pem") + "\n"

    def run(self, lineage=None, **more):
        environment = {"PATH": f"{self.t.path('bin')}:/usr/sbin:/usr/bin:/sbin:/bin", "CALLED": self.t.path("called"),
                       "SYNCED": self.t.path("synced"),
                       "RENEWED_LINEAGE": self.lineage if lineage is None else lineage, "RENEWED_DOMAINS": "example.com",
                       "LB_TLS_DIR": self.directory, "LB_TLS_GROUP": str(os.getegid()), **more}
        if os.path.exists(self.t.path("called")):
            os.remove(self.t.path("called"))
        done = subprocess.run([HOOK], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False, cwd=self.t.directory)
        self.t.note("hook", f"{more} status {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def state(self):
        """Everything that lies in the directory, temporary files too."""
        if not os.path.isdir(self.directory):
            return {}
        return {name: self.read(f"{self.directory}/{name}") for name in os.listdir(self.directory)}

    def refuses(self, why, lineage=None, **more):
        before = self.state()
        done = self.run(lineage, **more)
        assert done.returncode != 0 and why in done.stderr, done
        assert self.state() == before, "something was changed"
        assert self.t.read("called") == "", "lb was told of nothing"


def test_a_pair_is_put_into_place_whole_and_again_at_each_renewal(t):
    certbot = Certbot(t)
    certbot._program("chgrp", 'stat -c %a "${@: -1}" >>"$MODES"; exec /usr/bin/chgrp "$@"')
    certbot.issue()
    certbot.refuses("cannot be given", LB_TLS_GROUP="no-such-group", MODES="/dev/null")
    assert not os.path.exists(certbot.directory), "the next time it is made for the right group"
    old = os.umask(0)  # whatever certbot's is
    try:
        for kind in ("ec", "rsa", "ec"):
            certbot.issue(kind)
            done = certbot.run(MODES=t.path("modes"))
            assert done.returncode == 0 and "in place" in done.stdout and done.stderr == "", done
            assert certbot.state() == {"example.com.pem": certbot.whole()}
            assert t.read("called") == "try-reload-or-restart lb.service\n"
            assert stat.S_IMODE(os.stat(f"{certbot.directory}/example.com.pem").st_mode) == 0o640
            assert stat.S_IMODE(os.stat(certbot.directory).st_mode) == 0o750
    finally:
        os.umask(old)
    assert t.read("modes").split() == ["700", "600", "600", "600"], "closed to all until the group is right"
    os.remove(t.path("bin/chgrp"))
    # One that lb has open, or reads at this moment, stays whole: the new one is another file.
    with open(f"{certbot.directory}/example.com.pem", encoding="latin-1") as opened:
        before = certbot.whole()
        certbot.issue()
        assert certbot.run(lineage=certbot.lineage + "/").returncode == 0
        assert opened.read() == before != certbot.whole()
    # Files that do not end with a line end.
    for name in ("fullchain.pem", "privkey.pem"):
        certbot.write(name, certbot.read(f"{certbot.lineage}/{name}").rstrip("\n"))
    assert certbot.run().returncode == 0
    for words in (("x509", "-noout"), ("pkey", "-noout")):
        subprocess.run(["openssl", *words, "-in", f"{certbot.directory}/example.com.pem"], check=True, capture_output=True, timeout=60)
    # Without openssl it says what it did not look at.
    for tool in ("bash", "head", "grep", "mktemp", "stat", "mkdir", "chgrp", "chmod", "mv", "rm"):
        os.symlink(shutil.which(tool), t.path(f"bin/{tool}"))
    done = certbot.run(PATH=t.path("bin"))
    assert done.returncode == 0 and "openssl is not installed" in done.stderr, done
    last = t.read("synced").splitlines()[-2:]
    assert last[0].startswith(f"-- {certbot.directory}/.") and last[1] == f"-- {certbot.directory}", last


def test_what_is_wrong_is_refused_and_the_old_pair_stays(t):
    certbot = Certbot(t)
    certbot.issue()
    assert certbot.run().returncode == 0
    chain, key = (certbot.read(f"{certbot.lineage}/{name}") for name in ("fullchain.pem", "privkey.pem"))
    certbot.issue()
    new_key = certbot.read(f"{certbot.lineage}/privkey.pem")
    certbot.write("fullchain.pem", chain)
    certbot.refuses("is not the key of")
    for text, why in (("", "0 keys"), (key + key, "2 keys"), (chain, "0 keys"), (key.replace("\n", "\nx", 1), "not a key"),
                      ("x" * 1100000, "larger than")):
        certbot.write("privkey.pem", text)
        certbot.refuses(why)
    with open(f"{certbot.lineage}/privkey.pem", "wb") as file:
        file.write(certbot._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", "pass:x"))
    certbot.refuses("passphrase")
    certbot.write("privkey.pem", key)
    for text, why in (("", "begins with no certificate"), (new_key + chain, "begins with no certificate"),
                      (chain.replace("\nMII", "\nxxx", 1), "not all of it"),
                      (chain[:200] + chain[200:].replace("\nMII", "\nxxx", 1), "not all of it"), (chain + new_key, "2 keys")):
        certbot.write("fullchain.pem", text)
        certbot.refuses(why)
    certbot.write("fullchain.pem", chain)
    certbot.refuses("", LB_TLS_GROUP="no-such-group")
    certbot.refuses("absolute", LB_TLS_DIR="tls")
    os.remove(f"{certbot.lineage}/privkey.pem")
    certbot.refuses("privkey.pem: not there")
    os.mkfifo(f"{certbot.lineage}/privkey.pem")
    certbot.refuses("privkey.pem: not there, or no file")
    os.remove(f"{certbot.lineage}/privkey.pem")
    certbot.write("privkey.pem", key)
    if os.geteuid() != 0:  # root reads everything
        os.chmod(f"{certbot.lineage}/privkey.pem", 0)
        certbot.refuses("cannot be read")
        os.chmod(f"{certbot.lineage}/privkey.pem", 0o600)
    assert certbot.run().returncode == 0, "and what is right is taken again"


def test_names_stay_names(t):
    certbot = Certbot(t)
    certbot.issue()
    assert certbot.run().returncode == 0
    for name in ("..", ".hidden", ".", "-rf", "a b", "a\nb", "a;touch evil", "$(touch evil)", "a*", "ä", "x" * 201):
        lineage = f"{t.directory}/live/{name}"
        if name not in ("..", "."):
            shutil.copytree(certbot.lineage, lineage)
        certbot.refuses("no name for a file", lineage)
    certbot.refuses("RENEWED_LINEAGE is not set", "")
    certbot.refuses("no absolute path", "live/example.com")
    certbot.refuses("no name for a file", "/")
    certbot.refuses("not there", f"{t.directory}/live/missing.example")
    assert not os.path.exists(t.path("evil"))
    for name in ("www.example.com-0001", "xn--bcher-kva.example", "my_cert"):
        shutil.copytree(certbot.lineage, f"{t.directory}/live/{name}")
        assert certbot.run(f"{t.directory}/live/{name}").returncode == 0
        assert f"{name}.pem" in certbot.state()
    # What lies at the place already.
    os.remove(f"{certbot.directory}/my_cert.pem")
    os.mkdir(f"{certbot.directory}/my_cert.pem")
    done = certbot.run(f"{t.directory}/live/my_cert")
    assert done.returncode != 0 and "is a directory" in done.stderr and os.listdir(f"{certbot.directory}/my_cert.pem") == []
    os.rmdir(f"{certbot.directory}/my_cert.pem")
    t.write("precious", "mine")
    os.symlink(t.path("precious"), f"{certbot.directory}/my_cert.pem")
    assert certbot.run(f"{t.directory}/live/my_cert").returncode == 0
    assert t.read("precious") == "mine" and not os.path.islink(f"{certbot.directory}/my_cert.pem")


def test_an_lb_that_cannot_be_told_is_no_success(t):
    certbot = Certbot(t)
    certbot.issue()
    done = certbot.run(SYSTEMCTL_STATUS="3")
    assert done.returncode != 0 and "is in place, but lb was not told" in done.stderr
    assert certbot.state() == {"example.com.pem": certbot.whole()}
    certbot._program("mine", 'echo "mine $# $*" >>"$CALLED"')
    assert certbot.run(LB_TLS_RELOAD="mine -s reload").returncode == 0
    assert t.read("called") == "mine 2 -s reload\n"
    assert certbot.run(LB_TLS_RELOAD="").returncode == 0 and t.read("called") == ""
    assert certbot.run(LB_TLS_RELOAD="mine $(touch evil)").returncode == 0 and not os.path.exists(t.path("evil"))
