"""The example of an AppArmor profile, compiled by the real parser; nothing is loaded into the kernel.
"""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
# Installed, or only unpacked, as scripts/test does it.
TOOLS = f"{ROOT}/build/tools"
PARSER = shutil.which("apparmor_parser", path=f"/usr/sbin:/sbin:{TOOLS}/sbin:{TOOLS}/usr/sbin")
BASE = "/etc/apparmor.d" if os.path.isdir("/etc/apparmor.d/abstractions") else f"{TOOLS}/etc/apparmor.d"

if not PARSER:
    print("apparmor is not installed (Debian package: apparmor)")
    sys.exit(0)


def compiled(t, text):
    """How many bytes the profile comes to for the kernel; the parser's complaint instead where it has one."""
    done = subprocess.run([PARSER, "--skip-cache", "--skip-kernel-load", "--skip-read-cache", "--quiet", "--stdout",
                           "--base", BASE,
                           t.write("profile", text)], capture_output=True, timeout=100, check=False)
    return len(done.stdout) if done.returncode == 0 else done.stderr.decode()


def test_apparmor_compiles_its_profile(t):
    with open(f"{ROOT}/packaging/deb/apparmor/usr.sbin.lb", encoding="utf-8") as file:
        text = file.read()
    whole = compiled(t, text)
    assert isinstance(whole, int) and whole > 1000, whole
    assert "syntax error" in compiled(t, text.replace("capability net_bind_service,", "capability net_bind_service"))
    assert isinstance(compiled(t, text.replace("net_bind_service", "net_bind_services")), str)
    # The places that the binary has built in are all there.
    dump = t.run("-T", "-c", t.write("empty.ini", "[admin]\nbind = 127.0.0.1:9145\n[listener web]\nbind = 127.0.0.1:1\npool = app\n"
                                     "[pool app]\nbackend = 127.0.0.1:2\n")).out
    for key in ("control", "pid_file", "state_file"):
        folder = os.path.dirname(re.search(rf"^{key} = (\S+)$", dump, re.MULTILINE).group(1)).replace("/run/", "@{run}/")
        assert re.search(rf"^  {re.escape(folder)}/\*\* rwk,$", text, re.MULTILINE), folder
