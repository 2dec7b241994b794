#!/usr/bin/python3
"""Runs clang-tidy over every .cpp below src/, with the include paths and definitions of a configured build directory.

    cmake/tidy.py [-j JOBS] BUILD_DIR

Four fifths of clang-tidy's time on one of our files goes into the standard headers. So the files of a folder are given to
it together, as one file that includes them. A batch without findings is good. Where anything is found, the files named
and the rest are looked at again in smaller batches (two files of a batch may well use the same name for themselves),
and what counts in the end is what clang-tidy says about a file alone. Two checks speak of the main file only; they look
at each file alone that has a declaration they are about. Exit status 0 only without findings.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(ROOT, "src") + os.sep
BATCH = 12
# Without a word about an included file, however it is named.
ALONE = "-*,misc-unused-using-decls,misc-unused-alias-decls"
ABOUT = re.compile(r"\busing\s+(?!namespace\b)[^=;{}]*;|\bnamespace\s+\w+\s*=")
NAMED = re.compile(r"^(/[^:\n]+):\d+:\d+: (?:warning|error|fatal error): ", re.M)


def flags_of(command):
    """What decides how a file is understood. Neither g++'s own options nor precompiled headers."""
    words = iter(shlex.split(command)[1:])
    flags = []
    for word in words:
        if word in ("-I", "-D", "-U", "-isystem"):
            flags += [word, next(words)]
        elif word.startswith(("-I", "-D", "-U", "-isystem", "-std=")):
            flags.append(word)
    return tuple(flags)


def batches_of(build):
    groups = {}
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        for entry in json.load(file):
            path = os.path.abspath(os.path.join(entry["directory"], entry["file"]))
            if path.startswith(SRC):
                groups.setdefault((os.path.dirname(path), flags_of(entry["command"])), set()).add(path)
    for (_, flags), files in sorted(groups.items()):
        files = sorted(files)
        count = -(-len(files) // BATCH)
        for i in range(count):
            yield files[i::count], flags


def look(files, flags, folder, *options):
    """The output of clang-tidy for all of the files, or None if it has nothing to say."""
    target = files[0]
    if len(files) > 1:
        handle, target = tempfile.mkstemp(suffix=".cpp", prefix="batch-", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(f'#include "{path}"  // NOLINT(bugprone-suspicious-include)\n' for path in files)
    done = subprocess.run(["clang-tidy", "-quiet", f"--config-file={ROOT}/.clang-tidy", *options, target, "--", *flags],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"clang-tidy ended with {done.returncode}"


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def check(files, flags, folder):
    """What there is to say about the files, each looked at alone if need be."""
    said = look(files, flags, folder)
    if said is None:
        return [f"{file}:\n{said}" for file in files if len(files) > 1 and ABOUT.search(text_of(file))
                if (said := look([file], flags, folder, f"-checks={ALONE}"))]
    if len(files) == 1:
        return [f"{files[0]}:\n{said}"]
    named = set(NAMED.findall(said))
    first, second = [f for f in files if f not in named], [f for f in files if f in named]
    if not first or not second:
        half = len(files) // 2
        first, second = files[:half], files[half:]
    return check(first, flags, folder) + check(second, flags, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", metavar="BUILD_DIR")
    parser.add_argument("-j", type=int, default=os.cpu_count(), metavar="JOBS")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    batches = sorted(batches_of(arguments.build), key=lambda batch: -len(batch[0]))
    if not batches:
        sys.exit(f"no compile commands for {SRC} in {arguments.build}")
    with tempfile.TemporaryDirectory(dir=arguments.build, prefix="tidy-") as folder:
        with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
            found = [text for texts in pool.map(lambda batch: check(*batch, folder), batches) for text in texts]
    if found:
        print("\n\n".join(found))
    print(f"clang-tidy: {sum(len(files) for files, _ in batches)} files, {len(found)} with findings")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
