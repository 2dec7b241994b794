"""What every script of this folder takes on its command line: which cases, how many at a time, what to print."""
import glob
import json
import os
import re

from .runner import Report, load, run_all

HERE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


def add(parser, jobs):
    parser.add_argument("--cases", nargs="+", metavar="FILE", default=sorted(glob.glob(os.path.join(HERE, "http1-*.jsonl"))),
                        help="default: every http1-*.jsonl beside this script")
    parser.add_argument("--only", help="regular expression on id")
    parser.add_argument("--side", choices=["request", "response"])
    parser.add_argument("--level", help="comma-separated: MUST,SHOULD,LB")
    parser.add_argument("--skip", default="", help="comma-separated tags, such as slow")
    parser.add_argument("--failures", action="store_true", help="print failing rows only")
    parser.add_argument("--json", metavar="FILE", help="also write the results there")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("-v", "--verbose", action="store_true", help="the bytes on both sides")
    if jobs:
        parser.add_argument("--jobs", type=int, default=jobs, metavar="N", help=f"cases at a time (default {jobs})")


def chosen(a):
    """The cases that the command line asks for."""
    skip = set(filter(None, a.skip.split(",")))
    levels = set(a.level.split(",")) if a.level else None
    cases = [c for c in load(a.cases) if not (skip & set(c.get("tags", [])))
             and (not a.only or re.search(a.only, c["id"]))
             and (not a.side or c["side"] == a.side)
             and (not levels or c["level"] in levels)]
    if not cases:
        raise SystemExit("no case is left to run")
    return cases * a.repeat


def run(a, lanes, clock):
    """Runs what the command line asks for; returns the exit status."""
    cases = chosen(a)
    report = Report(a.failures, a.verbose)
    why = run_all(lanes, cases, clock, report)
    if why:
        print("the proxy does not forward a plain request: %s" % why)
        print("0 passed, %d failed" % len(cases))
        return 2
    good = report.summary()
    if a.json:
        with open(a.json, "w", encoding="utf-8") as file:
            json.dump(report.rows, file, indent=1)
    return 0 if good else 1
