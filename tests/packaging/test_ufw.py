"""packaging/deb/lb.ufw, read by ufw's own code; no firewall is touched.
"""
import gettext
import os
import re
import shutil
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))

# Installed, or only unpacked, as scripts/test does it: nobody's firewall changes for a test.
PLACES = [f"{ROOT}/build/tools/usr/lib/python3/dist-packages", "/usr/lib/python3/dist-packages"]
sys.path[1:1] = [place for place in PLACES if os.path.exists(f"{place}/ufw/applications.py")]
if not any(os.path.exists(f"{place}/ufw/applications.py") for place in PLACES):
    print("ufw is not installed (Debian package: ufw)")
    sys.exit(0)

gettext.install("ufw")  # as the program does: its modules expect _()
from ufw import applications  # noqa: E402 - its package may be missing


def test_ufw_reads_its_profile(t):
    os.mkdir(t.path("applications.d"))
    shutil.copy(f"{ROOT}/packaging/deb/lb.ufw", t.path("applications.d/lb"))
    profiles = applications.get_profiles(t.path("applications.d"))
    assert list(profiles) == ["lb HTTP"], profiles
    for name, profile in profiles.items():
        assert applications.valid_profile_name(name) and applications.verify_profile(name, profile), name
        assert applications.get_title(profile) and applications.get_description(profile)
    # What the profile opens is what the shipped settings listen on.
    with open(f"{ROOT}/etc/lb.ini", encoding="utf-8") as file:
        ports = re.findall(r"^\[listener \w+\]\nbind = \S+:(\d+)$", file.read(), re.MULTILINE)
    assert applications.get_ports(profiles["lb HTTP"]) == [f"{port}/tcp" for port in ports] != []
