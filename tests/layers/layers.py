#!/usr/bin/python3
"""Reads the #include lines below src/ and fails on one that points up or sideways.

    layers.py [SRC]        checks a tree (default: src/ of this repository)
    layers.py --self-test  checks this checker, on trees made for it

A room is a folder. ROOMS says on which rooms each stands; a room may include itself and everything below it. A new
room needs a line here, and that line is the place to think about whether it belongs where it is.
"""
import os
import re
import sys
import tempfile

ROOMS = {
    # what both sides must agree on
    "shared/base": [],
    "shared/net": ["shared/base"],
    "shared/metrics": ["shared/base"],
    "shared/http": ["shared/base"],
    "shared/config": ["shared/net"],
    "shared/geo": ["shared/net"],
    "shared/route": ["shared/config", "shared/geo", "shared/http"],
    "shared/shm": ["shared/metrics", "shared/net"],
    "shared/balance": ["shared/shm"],
    "shared/limit": ["shared/shm"],
    "shared/process": ["shared/config", "shared/shm"],
    # decides and supervises
    "master/config": ["shared/geo", "shared/route"],
    "master/discovery": ["shared/config", "shared/shm"],
    "master/operator": ["shared/config", "shared/shm"],
    "master/service": ["shared/net"],
    "master/table": ["shared/balance", "shared/config", "shared/shm"],
    "master/health": ["shared/config", "shared/http", "shared/shm"],
    "master/admin": ["shared/http", "shared/process"],
    "master/cli": ["master/config", "shared/process"],
    "master": ["master/admin", "master/config", "master/discovery", "master/health", "master/operator", "master/service", "master/table", "shared/balance", "shared/process", "shared/route"],
    # moves bytes
    "worker/io": ["shared/net"],
    "worker/stream": ["shared/http", "shared/metrics", "worker/io"],
    "worker/variables": ["shared/config", "shared/http", "shared/metrics"],
    "worker/log": ["worker/io", "worker/variables"],
    "worker/backend": ["shared/process", "shared/balance", "worker/stream"],
    "worker/limit": ["shared/limit", "shared/route"],
    "worker/exchange": ["shared/route", "worker/backend", "worker/limit", "worker/log"],
    "worker/client": ["worker/exchange"],
    "worker": ["worker/client"],
    # the only file that knows both sides
    "": ["master", "master/cli", "worker"],
}

# Libraries that belong to some rooms only: (pattern of the header, the rooms).
LIBRARIES = [
    (r"re2/", ["shared/config"]),
    (r"zlib\.h$", ["worker/exchange", "master/admin"]),
    (r"ares", ["master/discovery"]),
    (r"nlohmann/", ["master/admin", "master/cli", "master/operator"]),
    (r"maxminddb", ["shared/geo"]),
    (r"openssl/", ["shared/balance"]),
    (r"xxh", ["shared/balance"]),
    (r"prometheus/", ["master/admin"]),
    (r"event2/http", ["master/cli"]),
    (r"(INIReader|ini)\.h$", ["master/config"]),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


def below(room, rooms):
    """Everything the room stands on, however deep."""
    seen, todo = set(), list(rooms[room])
    while todo:
        each = todo.pop()
        if each not in seen:
            seen.add(each)
            todo += rooms[each]
    return seen


def check(src, rooms=None):
    """Returns the mistakes, each as text, and how many includes were read."""
    rooms = ROOMS if rooms is None else rooms
    mistakes, count = [], 0
    for room in rooms:
        if room in below(room, rooms):
            mistakes.append(f"the rules themselves: {room or 'main.cpp'} stands on itself")
    for folder, _, files in os.walk(src):
        room = os.path.relpath(folder, src)
        room = "" if room == "." else room
        sources = sorted(file for file in files if file.endswith((".h", ".cpp")))
        if not sources:
            continue
        if room not in rooms:
            mistakes.append(f"{room}: a room without a rule in tests/layers/layers.py")
            continue
        allowed = below(room, rooms) | {room}
        for file in sources:
            path = os.path.join(folder, file)
            with open(path, encoding="utf-8") as handle:
                text = handle.read()
            for match in INCLUDE.finditer(text):
                count += 1
                where = f"{os.path.relpath(path, src)}:{text.count(chr(10), 0, match.start()) + 1}"
                mark, target = match.groups()
                if mark == "<":
                    for pattern, owners in LIBRARIES:
                        if re.match(pattern, target) and room not in owners:
                            mistakes.append(f"{where}: <{target}> belongs to {' '.join(owners)} only")
                elif not os.path.isfile(os.path.join(src, target)) or os.path.normpath(target) != target:
                    mistakes.append(f'{where}: "{target}" is not written from src/ on, or does not exist')
                elif os.path.dirname(target) not in allowed:
                    mistakes.append(f'{where}: "{target}" points up or sideways: {room or "main.cpp"} stands on '
                                    f"{' '.join(sorted(allowed - {room})) or 'nothing'}")
    return mistakes, count


def self_test():
    def tree(files):
        root = tempfile.TemporaryDirectory(prefix="lb-layers-")
        for path, text in files.items():
            full = os.path.join(root.name, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as handle:
                handle.write(text)
        return root

    good = {
        "shared/base/text.h": "#include <string>\n",
        "shared/net/fd.h": '#include "shared/base/text.h"\n',
        "worker/io/io.h": '#include "shared/net/fd.h"\n#include "shared/base/text.h"\n',
        "worker/worker.h": '#pragma once\n  #  include "worker/io/io.h"\n',
        "master/master.h": "#pragma once\n",
        "master/config/keys.h": "#include <ini.h>\n",
        "main.cpp": '#include "master/master.h"\n#include "worker/worker.h"\n',
    }
    with tree(good) as root:
        mistakes, count = check(root)
        assert not mistakes and count == 8, (mistakes, count)
    planted = {
        "up": ("shared/base/text.h", '#include "shared/net/fd.h"\n', "shared/base/text.h:1"),
        "sideways": ("shared/balance/pick.h", '\n#include "worker/io/io.h"\n', "shared/balance/pick.h:2"),
        "from worker to master": ("worker/io/io.h", '#include "master/master.h"\n', "worker/io/io.h:1"),
        "from master to worker": ("master/master.h", '#include "worker/worker.h"\n', "master/master.h:1"),
        "relative": ("worker/io/io.cpp", '#include "io.h"\n', "worker/io/io.cpp:1"),
        "dotted": ("worker/io/io.cpp", '#include "worker/io/../io/io.h"\n', "worker/io/io.cpp:1"),
        "missing": ("worker/io/io.cpp", '#include "worker/io/none.h"\n', "worker/io/io.cpp:1"),
        "a room without a rule": ("worker/extra/x.h", "\n", "worker/extra"),
        "a library elsewhere": ("worker/io/io.cpp", "#include <nlohmann/json.hpp>\n", "worker/io/io.cpp:1"),
    }
    for name, (path, text, where) in planted.items():
        with tree({**good, path: text}) as root:
            mistakes, _ = check(root)
            assert len(mistakes) == 1 and mistakes[0].startswith(where), (name, mistakes)
    with tree(good) as root:
        assert any("stands on itself" in each for each in check(root, {**ROOMS, "shared/base": ["worker/io"]})[0])
    print(f"{len(planted) + 1} planted mistakes were found")


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
    here = os.path.dirname(os.path.abspath(__file__))
    src = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", "..", "src")
    mistakes, count = check(src)
    if count == 0:
        mistakes.append(f"{src}: no includes found")
    print("\n".join(mistakes) if mistakes else f"{count} includes, all of them down")
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
