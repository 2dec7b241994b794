#!/usr/bin/python3
"""Runs the conversations of one or more files against a built lb.

    run.py --lb build/debug/lb test_requests.py            all of a file
    run.py --lb build/debug/lb test_requests.py -k pipe    only those with "pipe" in their name
    run.py --lb build/debug/lb --all                       every file beside this one

Every function named test_... gets a fresh Story. A failing one prints what each side said and lb's error log.
"""
import argparse
import glob
import importlib.util
import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # the sources may belong to somebody else
sys.path.insert(0, HERE)

from lbtest import Story  # noqa: E402 - after the path is set


def load(path):
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [(name, function) for name, function in vars(module).items() if name.startswith("test_") and callable(function)]


def tell(name, function, binary, verbose):
    """Runs one conversation; returns whether it held."""
    begin = time.monotonic()
    story = Story(binary)
    error = None
    try:
        function(story)
    except Exception as failure:  # noqa: BLE001 - any of them is a failure of this test
        # With the values of the variables: they are what an assertion compared.
        error = "".join(traceback.TracebackException.from_exception(failure, capture_locals=True).format())
    finally:  # also when somebody ends this run: no lb stays behind
        failures = story.end()
    good = error is None and not failures
    print(f"{'ok  ' if good else 'FAIL'} {name} ({time.monotonic() - begin:.2f} s)", flush=True)
    if not good or verbose:
        print("\n".join([*failures, error or "", "-- transcript", story.transcript(), "-- end", ""]), flush=True)
    story.remove()
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--lb", required=True, help="the binary")
    parser.add_argument("--all", action="store_true", help="every test_*.py beside this file")
    parser.add_argument("-k", metavar="WORD", default="", help="only tests with WORD in their name")
    parser.add_argument("-v", "--verbose", action="store_true", help="print the transcripts of good tests too")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    files = sorted(glob.glob(os.path.join(HERE, "test_*.py"))) if arguments.all else arguments.files
    tests = [(os.path.basename(file), *test) for file in files for test in load(file) if arguments.k in test[0]]
    if not tests:
        sys.exit("no tests")
    bad = [f"{file}: {name}" for file, name, function in tests
           if not tell(name, function, os.path.abspath(arguments.lb), arguments.verbose)]
    print(f"{len(tests) - len(bad)} of {len(tests)} held" + "".join(f"\n  failed: {name}" for name in bad))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
