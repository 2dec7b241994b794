"""What came out at both ends, compared with the outcomes that a case allows.

Pure: it is given what was seen and waits for nothing.
"""
from .wire import b, show


def match_fields(msg, want, who):
    bad = []
    for name, val in (want.get("has") or {}).items():
        got = msg.get(b(name.lower()))
        if val is True:
            if not got:
                bad.append("%s lacks %s" % (who, name))
            continue
        joined = b", ".join(got)
        alts = val if isinstance(val, list) else [val]
        if not any(joined == b(a) for a in alts):
            bad.append("%s: %s is %r, wanted %s" % (who, name, show(joined, 60), " or ".join(repr(a[:60]) for a in alts)))
    for name in want.get("hasnot") or []:
        if msg.get(b(name.lower())):
            bad.append("%s has %s: %s" % (who, name, show(b", ".join(msg.get(b(name.lower()))), 60)))
    for name, val in (want.get("contains_not") or {}).items():
        if b(val).lower() in b", ".join(msg.get(b(name.lower()))).lower():
            bad.append("%s: %s contains %r" % (who, name, val))
    for name, n in (want.get("lines") or {}).items():
        if len(msg.get(b(name.lower()))) != n:
            bad.append("%s: %d line(s) of %s, wanted %d" % (who, len(msg.get(b(name.lower()))), name, n))
    if "xff_last" in want:
        xff = b",".join(msg.get(b"x-forwarded-for")).split(b",")[-1].strip()
        if xff != b(want["xff_last"]):
            bad.append("%s: last X-Forwarded-For element is %r, wanted %r" % (who, show(xff, 40), want["xff_last"]))
    return bad


def body_of(want):
    x = want["body"]
    if isinstance(x, str):
        return b(x)
    return b("".join(i if isinstance(i, str) else i["rep"] * i["n"] for i in x))


def one_of(x):
    return x if isinstance(x, list) else [x]


def check_backend(be, exp):
    bad = []
    if be.faults:
        bad.append("ill-formed bytes reached the backend: " + "; ".join(sorted(set(be.faults))[:3]))
    want = exp.get("backend")
    wants = want if isinstance(want, list) else ([want] if want is not None else [])
    n = exp.get("n", 0 if exp["do"] == "reject" else max(1, len(wants)))
    if n is not None and len(be.seen) != n:
        bad.append("backend saw %d complete request(s), wanted %d%s" % (
            len(be.seen), n, " (" + ", ".join(show(m.start, 50) for m in be.seen[:3]) + ")" if be.seen else ""))
    if exp["do"] == "reject" and not exp.get("partial") and be.partial:
        bad.append("backend received the start of a rejected request")
    if exp["do"] == "forward" and be.partial and not exp.get("partial"):
        bad.append("backend received an incomplete request")
    for i, w in enumerate(wants):
        if i >= len(be.seen):
            break
        m, who = be.seen[i], "backend request %d" % (i + 1)
        if "method" in w and m.method not in [b(x) for x in one_of(w["method"])]:
            bad.append("%s: method %r" % (who, show(m.method, 30)))
        if "target" in w and m.target not in [b(x) for x in one_of(w["target"])]:
            bad.append("%s: target %r" % (who, show(m.target, 80)))
        if "version" in w and m.version not in [b(x) for x in one_of(w["version"])]:
            bad.append("%s: version %r" % (who, show(m.version, 20)))
        if "body" in w and m.body != body_of(w):
            bad.append("%s: body %r" % (who, show(m.body, 60)))
        if "tunnel" in w and m.tunnel != b(w["tunnel"]):
            bad.append("%s: tunnel bytes %r" % (who, show(m.tunnel, 60)))
        if "trailers_hasnot" in w:
            for name in w["trailers_hasnot"]:
                if any(k == b(name.lower()) for k, _ in m.trailers):
                    bad.append("%s: trailer %s forwarded" % (who, name))
        bad += match_fields(m, w, who)
    return bad


def check_client(r, exp):
    bad = []
    if r.faults:
        bad.append("ill-formed response to the client: " + "; ".join(sorted(set(r.faults))[:3]))
    if exp["do"] == "reject":
        n = exp.get("n") or 0
        if len(r.finals) == n and exp.get("drop") and r.eof:
            return bad
        if len(r.finals) != n + 1:
            bad.append("client got %d response(s)%s, wanted %d%s" % (
                len(r.finals), " " + str([m.status for m in r.finals]) if r.finals else "", n + 1,
                "" if r.eof else " (connection left open)"))
            return bad
        if r.finals[-1].status not in exp["status"]:
            bad.append("status %d, wanted %s" % (r.finals[-1].status, "/".join(map(str, exp["status"]))))
        if exp.get("close", True) and not r.eof:
            bad.append("connection left open after the error")
        return bad
    want = exp.get("client")
    if isinstance(want, list):
        wants, n = want, len(want)
    elif isinstance(want, dict):
        wants, n = [want], 1
    else:
        n = exp["n"] if exp.get("n") is not None else 1
        wants = [{}] * n
    if len(r.finals) != n:
        bad.append("client got %d response(s)%s, wanted %d%s" % (
            len(r.finals), " " + str([m.status for m in r.finals]) if r.finals else "", n,
            "" if r.eof else " (connection left open)"))
    if r.left.strip(b"\r\n") and not exp.get("stray"):
        bad.append("stray bytes to the client: %r" % show(r.left, 60))
    for i, w in enumerate(wants):
        if i >= len(r.finals):
            break
        m, who = r.finals[i], "response %d" % (i + 1)
        st = w.get("status", [200])
        if m.status not in one_of(st):
            bad.append("%s: status %d, wanted %s" % (who, m.status, "/".join(map(str, one_of(st)))))
        if "body" in w and m.body != body_of(w):
            bad.append("%s: body %r" % (who, show(m.body, 60)))
        if "tunnel" in w and m.tunnel != b(w["tunnel"]):
            bad.append("%s: tunnel bytes %r" % (who, show(m.tunnel, 60)))
        if w.get("truncated") and not m.truncated:
            bad.append("%s: looks complete although the backend broke off" % who)
        if not w.get("truncated") and m.truncated:
            bad.append("%s: incomplete" % who)
        if w.get("framing") and m.framing not in one_of(w["framing"]):
            bad.append("%s: framing %s" % (who, m.framing))
        if "body_not" in w and b(w["body_not"]) in m.body:
            bad.append("%s: body contains %r" % (who, w["body_not"]))
        bad += match_fields(m, w, who)
    if "interim" in exp:
        got = [m.status for m in r.interims]
        if got not in exp["interim"]:
            bad.append("interim responses %s, wanted one of %s" % (got, exp["interim"]))
    if exp.get("close") is True and not r.eof:
        bad.append("connection left open")
    if exp.get("close") is False and r.eof:
        bad.append("connection closed")
    if "not_in_raw" in exp and b(exp["not_in_raw"]) in r.raw:
        bad.append("client received %r" % exp["not_in_raw"])
    return bad
