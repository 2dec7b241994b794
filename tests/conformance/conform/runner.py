"""Runs cases: each on a lane, a listener of the proxy that leads to a scripted backend of its own.

Lanes share nothing but the proxy, so cases on different lanes run at the same time and never see each other's bytes. A case is
judged once nothing more can come: what the backends were sent is looked at after a fence (clock.py) that the proxy took in later.
"""
import json
import queue
import sys
import threading
import time

from .client import exchange
from .judge import check_backend, check_client
from .wire import show

LATE = 0.5  # counted seconds that a request which the client has an answer to may take to be counted by the backend
# The proxy's own time limits (2 s for a head) go by plain time: a case that fails while the clock stood so long proves nothing
# and is played again, which the report says. One that fails without is never played twice.
STALL = 0.5
REPLAYS = 4
SANE = {"send": "GET /__sanity HTTP/1.1\r\nHost: lb.test\r\nConnection: close\r\n\r\n", "wait": 2.0}


class Lane:
    def __init__(self, address, backend):
        self.address, self.backend = address, backend


def one_or_list(x):
    return x if isinstance(x, list) else [x]


def wanted(outcomes):
    """(responses that some outcome can do with, whether some outcome wants the connection closed)."""
    counts, close = [], False
    for e in outcomes:
        if e["do"] == "reject":
            counts.append((e.get("n") or 0) + 1)
            close = close or e.get("close", True)
        else:
            client = e.get("client")
            counts.append(len(client) if isinstance(client, list) else e.get("n") or 1)
            close = close or bool(e.get("close"))
    return min(counts), close


def fewest(complaints):
    """The shortest of several lists of complaints, the first of equals."""
    return min(complaints, key=len)


def judged(record, backend, r, outcomes):
    with backend.lock:
        return fewest([check_backend(record, e) + check_client(r, e) for e in outcomes])


def sanity(lane, clock):
    """Why a plain request does not go through, "" if it does."""
    try:
        r = exchange(lane.address, SANE, 1, False, clock)
    except OSError as e:
        return "proxy unreachable afterwards: %s" % e
    if [m.status for m in r.finals] != [200] or r.finals[0].body != b"ok":
        return "next plain request got %s" % ([m.status for m in r.finals] or "nothing")
    return ""


def said(r, record):
    """Raw bytes on both sides, for --verbose."""
    out = ["   > client raw: %s%s" % (show(r.raw, 400), " [EOF]" if r.eof else " [open]")]
    for m in record.seen:
        fields = [(show(k, 30), show(v, 60)) for k, v in m.headers]
        out.append("   > backend: %s %s body=%s" % (show(m.start, 100), fields, show(m.body, 80)))
    for m in record.partial:
        what = show(m, 200) if isinstance(m, bytes) else show(m.start, 100) + " body=" + show(m.body, 60)
        out.append("   > backend partial: %s" % what)
    if record.faults:
        out.append("   > backend faults: %s" % record.faults)
    return out


def play_case(lane, case, clock):
    """(complaints, lines for --verbose)."""
    outcomes = one_or_list(case["expect"])
    backend = lane.backend
    record = backend.reset(case.get("backend", []))
    try:
        r = exchange(lane.address, case, *wanted(outcomes), clock)
    except OSError as e:
        return ["cannot talk to the proxy: %s" % e], []
    if r.eof:  # otherwise the silence was one: several pulses came back in it
        clock.fence()
    # Good now, or as soon as the backend's thread has written down what it was sent.
    clock.wait(LATE, lambda: not judged(record, backend, r, outcomes))
    why = judged(record, backend, r, outcomes)
    lines = said(r, record)
    if not why and case.get("then"):
        then = case["then"]
        clock.wait(then.get("settle", 0))
        with backend.lock:
            record.forget()
        r = exchange(lane.address, then, 1, False, clock)
        why = fewest([["afterwards: " + x for x in check_client(r, e)] for e in one_or_list(then["expect"])])
        lines += said(r, record)
    return why, lines


def run_case(lane, case, clock):
    """(complaints, lines for --verbose)."""
    for _ in range(REPLAYS):
        lost = clock.lost()
        why, lines = play_case(lane, case, clock)
        lane.backend.end_case()
        clock.wait(case.get("settle", 0))
        insane = sanity(lane, clock)
        why = why + [insane] if insane else why
        if not why:
            break
        clock.fence()  # the pulse that was under way is counted too
        lost = clock.lost() - lost
        if lost < STALL:
            break
        print("again, the machine stood still for %.1f s: %s %s" % (lost, case["id"], "| ".join(why)[:200]), flush=True)
    return why, lines


def duration(case):
    """Guessed: the long ones begin first, so that none is left alone at the end."""
    slow = 3.0 if "slow" in case.get("tags", []) else 0.0
    return slow + case.get("wait", 0.0) + str(case).count("'pause'") * 0.2


class Report:
    """Prints the rows in the order of the cases, whatever the order in which they end."""

    def __init__(self, failures_only, verbose, quiet=False):
        self.failures_only, self.verbose, self.quiet = failures_only, verbose, quiet
        self.lock = threading.Lock()
        self.ended, self.rows = {}, []

    def add(self, index, case, why, lines, took):
        with self.lock:
            self.ended[index] = (case, why, lines, took)
            while len(self.rows) in self.ended:
                self._print(*self.ended[len(self.rows)])

    def _print(self, case, why, lines, took):
        good = not why
        self.rows.append({"id": case["id"], "level": case["level"], "side": case["side"], "pass": good, "why": why})
        if self.quiet:
            return
        if self.verbose:
            print("\n".join(lines))
        if not good or not self.failures_only:
            print("%-4s %-6s %-44s %-26s %4.1fs %s" % ("ok" if good else "FAIL", case["level"], case["id"], case["ref"][:26], took,
                                                    "" if good else "| ".join(why)[:300]))
            sys.stdout.flush()

    def summary(self):
        """Prints the totals; returns whether all passed."""
        tally = {}
        for row in self.rows:
            tally.setdefault((row["side"], row["level"]), [0, 0])[0 if row["pass"] else 1] += 1
        print("-" * 60)
        for key in sorted(tally):
            print("%-9s %-7s %3d passed %3d failed" % (*key, *tally[key]))
        bad = sum(not row["pass"] for row in self.rows)
        print("%d passed, %d failed" % (len(self.rows) - bad, bad))
        return bad == 0


def run_all(lanes, cases, clock, report):
    """Runs the cases, as many at a time as there are lanes. Returns why none can run, "" if they ran."""
    why = ""
    clock.wait(10.0, lambda: not sanity(lanes[0], clock))
    for lane in lanes:
        why = why or sanity(lane, clock)
    if why:
        return why
    todo = queue.SimpleQueue()
    for index, case in sorted(enumerate(cases), key=lambda pair: -duration(pair[1])):
        todo.put((index, case))
    broken = []

    def work(lane):
        try:
            while not broken:
                index, case = todo.get_nowait()
                begin = time.monotonic()
                why, lines = run_case(lane, case, clock)
                report.add(index, case, why, lines, time.monotonic() - begin)
        except queue.Empty:
            pass
        except BaseException as error:
            broken.append(error)
            raise
    threads = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in lanes[:len(cases)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    return ""


def load(paths):
    cases, ids = [], set()
    for p in paths:
        with open(p, encoding="utf-8") as f:
            for ln, line in enumerate(f, 1):
                line = line.strip()
                if not line or line.startswith("//"):
                    continue
                c = json.loads(line)
                if c["id"] in ids:
                    raise SystemExit("%s:%d: duplicate id %s" % (p, ln, c["id"]))
                ids.add(c["id"])
                cases.append(c)
    return cases
