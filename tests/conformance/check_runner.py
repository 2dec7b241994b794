#!/usr/bin/python3
"""The runner itself: a sound proxy passes, and each of many wrong ones fails the cases it must fail, for the right reason.

    tests/conformance/check_runner.py [-k WORD]
"""
import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # the sources may belong to somebody else
sys.path.insert(0, HERE)

from conform.backend import Backend  # noqa: E402 - after the path is set
from conform.clock import Pulse  # noqa: E402
from conform.runner import Lane, Report, load, run_all  # noqa: E402
from selftest.proxy import Proxy  # noqa: E402

ANSWERED = {"get", "body", "asked-to-close", "forwarded-for", "hop", "then"}
REFUSED = {"bare-lf", "both-framings", "then"}

# flaw: (the cases that fail, what is said of each)
FLAWS = {
    "": (set(), ""),
    "relays bare LF in header section": ({"bare-lf"}, "bare LF in header section"),
    "relays Content-Length together with Transfer-Encoding": ({"both-framings"}, "Content-Length together with Transfer-Encoding"),
    "relays several Host lines": ({"then"}, "several Host lines"),
    "relays hop-by-hop fields": ({"hop"}, "has x-secret"),
    "believes X-Forwarded-For": ({"forwarded-for"}, "last X-Forwarded-For element is '192.0.2.1'"),
    "changes the body": ({"body"}, "body 'HELLO'"),
    "never answers": (ANSWERED | {"broken-off"}, "client got 0 response(s)"),
    "answers twice": (ANSWERED, "client got 2 response(s)"),
    "answers again later": (ANSWERED - {"asked-to-close"}, "client got 2 response(s)"),
    "adds bytes": (ANSWERED, "stray bytes to the client"),
    "ends lines with LF": (ANSWERED | {"broken-off"}, "ill-formed response to the client"),
    "ignores Connection: close": ({"asked-to-close"}, "connection left open"),
    "completes what broke off": ({"broken-off"}, "looks complete although the backend broke off"),
    "leaves open what it refused": (REFUSED, "connection left open after the error"),
    "refuses with another status": (REFUSED, "status 500, wanted 400"),
    "forwards what it refused": (REFUSED, "backend saw 1 complete request(s), wanted 0"),
    "sends the start of what it refuses": (REFUSED, "backend received the start of a rejected request"),
    "is broken after a refusal": (REFUSED, " got "),
}


def failures(flaw, cases):
    """{id: complaints} of a run against a proxy with that flaw."""
    backends = [Backend() for _ in range(len(cases) + 1)]
    proxy = Proxy([each.port for each in backends], flaw)
    pulse, *lanes = [Lane(address, backend) for address, backend in zip(proxy.addresses, backends)]
    clock = Pulse(pulse.address)
    report = Report(failures_only=True, verbose=False, quiet=True)
    why = run_all(lanes, cases, clock, report)
    clock.end()
    proxy.end()
    for each in backends:
        each.end()
    assert not why, f"no plain request goes through: {why}"
    assert [row["id"] for row in report.rows] == [case["id"] for case in cases], "every case has its row"
    return {row["id"]: row["why"] for row in report.rows if not row["pass"]}


def complaint(flaw, cases):
    wanted, said = FLAWS[flaw]
    found = failures(flaw, cases)
    if set(found) != wanted:
        return f"fails {sorted(found)}, not {sorted(wanted)}: {found}"
    silent = [name for name, why in found.items() if not any(said in each for each in why)]
    return f"of {silent} nothing says {said!r}: {found}" if silent else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("-k", metavar="WORD", default="", help="only flaws with WORD in their name")
    arguments = parser.parse_args()
    cases = load([os.path.join(HERE, "selftest", "cases.jsonl")])
    bad = 0
    chosen = [flaw for flaw in FLAWS if arguments.k in flaw]
    with ThreadPoolExecutor(4) as pool:  # mostly they wait
        for flaw, why in zip(chosen, pool.map(lambda flaw: complaint(flaw, cases), chosen)):
            bad += bool(why)
            print(f"{'FAIL' if why else 'ok  '} a proxy that {flaw or 'is sound'} {why}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} held")
    sys.exit(1 if bad or not chosen else 0)


if __name__ == "__main__":
    main()
