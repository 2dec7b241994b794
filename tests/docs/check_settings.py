#!/usr/bin/python3
"""doc/SETTINGS.md against the binary and the tests: every key that lb knows has a row, and every test that a row names exists.

    check_settings.py LB
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


def keys_of(binary):
    """(section, key) as lb itself lists them."""
    section, after_tp, found = None, False, []
    for line in subprocess.run([binary, "--manual"], capture_output=True, text=True, check=True).stdout.splitlines():
        head = re.match(r"\.SS \[(\w+)", line)
        key = re.match(r"\.B (\w+)$", line)
        if head:
            section = head.group(1)
        elif after_tp and key and section:
            found.append((section, key.group(1)))
        elif line.startswith(".SH") and line != ".SH KEYS":
            section = None
        after_tp = line == ".TP"
    return found


def conversations():
    found = {}
    for path in glob.glob(f"{ROOT}/tests/conversations/test_*.py") + glob.glob(f"{ROOT}/tests/monitoring/test_*.py"):
        with open(path, encoding="utf-8") as file:
            for name in re.findall(r"^def (test_\w+)\(t\)", file.read(), re.MULTILINE):
                found[f"{os.path.basename(path)[:-3]}.{name}"] = path
    return found


def check(keys, rows, tests):
    mistakes = []
    # What [defaults] has is shown once; listeners, pools and routes that lay their own over it need no row of their own,
    # but a route's: those are other code.
    inherited = {key for section, key in keys if section == "defaults"}
    wanted = {(section, key) for section, key in keys if not (section in ("listener", "pool") and key in inherited)}
    have = {(section, key) for section, key, _ in rows}
    mistakes += [f"[{section}] {key} has no row" for section, key in sorted(wanted - have)]
    mistakes += [f"[{section}] {key} has a row, and lb does not know it" for section, key in sorted(have - wanted)]
    for section, key, names in rows:
        if not names:
            mistakes.append(f"[{section}] {key} names no test")
        for name in names:
            if name not in tests and not os.path.isfile(f"{ROOT}/tests/{name}"):
                mistakes.append(f"[{section}] {key}: there is no test {name}")
    return mistakes


def rows_of(text):
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and re.fullmatch(r"\w+", cells[0]) and cells[0] != "section":
            rows.append((cells[0], cells[1], [name.strip() for name in cells[3].split(",") if name.strip()]))
    return rows


def self_test(keys, rows, tests):
    section, key, _ = rows[0]
    assert check(keys, rows[1:], tests) == [f"[{section}] {key} has no row"]
    assert check(keys, rows + [("global", "never", ["test_reload.never"])], tests) == [
        "[global] never has a row, and lb does not know it", "[global] never: there is no test test_reload.never"]


def main():
    with open(f"{ROOT}/doc/SETTINGS.md", encoding="utf-8") as file:
        rows = rows_of(file.read())
    keys, tests = keys_of(sys.argv[1]), conversations()
    mistakes = check(keys, rows, tests)
    if not mistakes:
        self_test(keys, rows, tests)
    print("\n".join(mistakes) if mistakes else f"{len(rows)} settings, each with a test")
    sys.exit(1 if mistakes or not keys else 0)


if __name__ == "__main__":
    main()
