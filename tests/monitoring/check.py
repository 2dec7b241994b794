#!/usr/bin/python3
"""Checks what is shipped for Prometheus and Grafana against lb-metrics(7), which a unit test holds to the catalog.

    check.py               rules, their tests, the example of a scrape, the dashboard; promtool parses every expression
    check.py --self-test   plants mistakes and looks whether each is found

Every expression names only metrics, labels and label values that lb has; every alert is described in the manual and
has a test in which it fires and one in which it does not; the dashboard is whole.
"""
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MANUAL, RULES, SCRAPE = "man/lb-metrics.7", "etc/prometheus/lb.rules.yml", "etc/prometheus/scrape.yml"
RULES_TEST, DASHBOARD = "tests/monitoring/lb.rules_test.yml", "etc/grafana/lb.json"

ADDED_BY_SCRAPE = {"job", "instance"}
# What PromQL has itself, as far as it is used here; anything else must be a metric.
PROMQL = {"sum", "min", "max", "rate", "increase", "changes", "histogram_quantile", "time", "and", "or", "unless"}

GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{([^}]*)\})?(?=(\s*\()?)")
MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"([^"]*)"\s*(?:,|$)')
DURATION = re.compile(r"\[[^\]]*\]")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


# -- what lb has

class Metric:
    def __init__(self, kind, labels):
        self.kind, self.labels = kind, labels  # {label: set of values, or None when any}


def metrics_of(manual):
    """{series name: Metric} of the METRICS part of lb-metrics(7), and `up`, which Prometheus adds."""
    part = manual[manual.index(".SH METRICS"):manual.index(".SH ENDS")]
    found = {"up": Metric("gauge", {})}
    for scope in part.split(".SS ")[1:]:
        own = re.search(r"^Labels? ([a-z]+)(?: and ([a-z]+))?\.", scope, re.M)
        for name, kind, rest in re.findall(r'^\.TP\n\.BR (\S+) " \((\w+)\)"\n((?:(?!\.TP).*\n)*)', scope, re.M):
            labels = {label: None for label in own.groups() if label} if own else {}
            label = re.search(r"^Label\n\.IR (\w+) :\n(.*)\.$", rest, re.M)
            if label:
                labels[label[1]] = set(label[2].split(", "))
            elif re.search(r"^\.IR version \.$", rest, re.M):
                labels["version"] = None
            if kind == "histogram":
                found[name + "_bucket"] = Metric(kind, {**labels, "le": None})
                found[name + "_sum"] = found[name + "_count"] = Metric(kind, labels)
            else:
                found[name] = Metric(kind, labels)
    return found


def alerts_described(manual):
    part = manual[manual.index(".SH ALERTS"):manual.index(".\\\" CATALOG BEGIN")]
    return re.findall(r"^\.TP\n\.B (\w+)$", part, re.M)


# -- expressions

def mistakes_of(expression, metrics):
    """What an expression names that is not there."""
    wrong, named = [], set()
    bare = DURATION.sub("", expression)
    groups = [label.strip() for inside in GROUPING.findall(bare) for label in inside.split(",") if label.strip()]
    bare = GROUPING.sub("", bare)
    for name, matchers, call in SELECTOR.findall(bare):
        if name in PROMQL and not matchers:
            continue
        if call or name not in metrics:
            wrong.append(f"{name} is no metric of lb")
            continue
        named.add(name)
        labels = metrics[name].labels
        matchers = matchers or ""
        if MATCHER.sub("", matchers).strip():
            wrong.append(f"{name}: cannot read {{{matchers}}}")
        for label, operator, value in MATCHER.findall(matchers):
            if label in ADDED_BY_SCRAPE:
                continue
            if label not in labels:
                wrong.append(f"{name} has no label {label}")
            elif labels[label] is not None and value != ".*":
                for one in value.split("|") if "~" in operator else [value]:
                    if one not in labels[label]:
                        wrong.append(f"{name}: {label} is never {one}")
    if not named:
        wrong.append("it names no metric")
    known = set(ADDED_BY_SCRAPE).union(*(metrics[name].labels for name in named))
    wrong += [f"no metric here has the label {label} to group by" for label in groups if label not in known]
    return wrong


def labels_of_result(expression, metrics):
    """The labels that its series can have: those grouped by, or all of its metrics."""
    groups = re.findall(r"\bby\s*\(([^)]*)\)", expression)
    if groups:
        return {label.strip() for inside in groups for label in inside.split(",")}
    names = {name for name, _, _ in SELECTOR.findall(DURATION.sub("", expression)) if name in metrics}
    return set(ADDED_BY_SCRAPE).union(*(metrics[name].labels for name in names))


# -- the rules

def rules_of(text):
    """[(alert, expression)] of a file of rules, written as ours is: `expr:` in one line or as a block."""
    found, lines = [], text.splitlines()
    for at, line in enumerate(lines):
        alert = re.match(r"\s*- alert: (\w+)$", line)
        if alert:
            found.append([alert[1], None])
        one_line = re.match(r"(\s*)expr: ([^|>].*)$", line)
        block = re.match(r"(\s*)expr: [|>]-?$", line)
        if one_line:
            found[-1][1] = one_line[2]
        elif block:
            deeper = []
            for inner in lines[at + 1:]:
                if len(inner) - len(inner.lstrip()) <= len(block[1]):
                    break
                deeper.append(inner.strip())
            found[-1][1] = " ".join(deeper)
    return [tuple(each) for each in found]


def check_rules(rules, test, manual, metrics):
    wrong = []
    alerts = [alert for alert, _ in rules]
    for alert, expression in rules:
        wrong += [f"{RULES}: {alert}: {each}" for each in mistakes_of(expression or "", metrics)]
    # An entry of alert_rule_test ends where the next one begins.
    cases = re.split(r"\n\s*- (?=\{?eval_time)", test)[1:]
    fires = {re.search(r"alertname: (\w+)", case)[1] for case in cases if "exp_alerts" in case}
    silent = {re.search(r"alertname: (\w+)", case)[1] for case in cases if "exp_alerts" not in case}
    for alert in alerts:
        if alert not in fires:
            wrong.append(f"{RULES_TEST}: {alert} never fires")
        if alert not in silent:
            wrong.append(f"{RULES_TEST}: {alert} is never silent")
    described = alerts_described(manual)
    if described != alerts:
        wrong.append(f"{MANUAL}: ALERTS describes {described}, the rules are {alerts}")
    return wrong


# -- the dashboard

def substituted(expression):
    """With Grafana's variables replaced by what they can stand for."""
    expression = expression.replace("$__rate_interval", "5m")
    return re.sub(r"\$[a-z]+", ".*", expression)


def dashboard_expressions(board):
    """[(where, expression, legend)]; the legend is None where there is none."""
    found = []
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            found.append((f"panel {panel['id']} {panel['title']!r} {target['refId']}", target["expr"], target["legendFormat"]))
    for note in board["annotations"]["list"]:
        if "expr" in note:
            found.append((f"annotation {note['name']!r}", note["expr"], note.get("titleFormat")))
    return found


def check_dashboard(board, metrics):
    wrong = []
    panels, variables = board["panels"], board["templating"]["list"]
    names = [variable["name"] for variable in variables]
    ids = [panel["id"] for panel in panels]
    if len(set(ids)) != len(ids):
        wrong.append("two panels have the same id")
    if len({panel["title"] for panel in panels}) != len(panels):
        wrong.append("two panels have the same title")
    taken = {}
    for panel in panels:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            wrong.append(f"panel {panel['id']} is wider than the page")
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            if taken.setdefault(cell, panel["id"]) != panel["id"]:
                wrong.append(f"panels {taken[cell]} and {panel['id']} overlap")
                break
        references = [target["refId"] for target in panel.get("targets", [])]
        if panel["type"] != "row" and (not references or len(set(references)) != len(references)):
            wrong.append(f"panel {panel['id']}: its queries are {references}")
        for holder in [panel, *panel.get("targets", [])] if panel["type"] != "row" else []:
            if holder["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
                wrong.append(f"panel {panel['id']}: its data source is not the variable")
    for where, expression, legend in dashboard_expressions(board):
        plain = substituted(expression)
        wrong += [f"{where}: {each}" for each in mistakes_of(plain, metrics)]
        for variable in re.findall(r"\$([a-z]+)", expression):
            if variable not in names:
                wrong.append(f"{where}: there is no variable {variable}")
        for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", legend or ""):
            if label not in labels_of_result(plain, metrics):
                wrong.append(f"{where}: the legend names {label}, which the result has not")
    for variable in variables:
        if variable["type"] != "query":
            continue
        query = re.fullmatch(r"label_values\((\w+)(\{.*\})?, (\w+)\)", variable["definition"])
        if not query or variable["query"]["query"] != variable["definition"]:
            wrong.append(f"variable {variable['name']}: {variable['definition']}")
            continue
        name, matchers, label = query.groups()
        wrong += [f"variable {variable['name']}: {each}" for each in mistakes_of(substituted(name + (matchers or "")), metrics)]
        if name in metrics and label not in metrics[name].labels and label not in ADDED_BY_SCRAPE:
            wrong.append(f"variable {variable['name']}: {name} has no label {label}")
    return [f"{DASHBOARD}: {each}" for each in wrong]


# -- promtool

def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    return [] if done.returncode == 0 else [f"promtool {' '.join(arguments)}:\n{done.stdout}{done.stderr}"]


def check_parses(board):
    """Each expression of the dashboard as a rule of its own, so that promtool reads it."""
    rules = [{"record": f"dashboard:{number}", "expr": substituted(expression)}
             for number, (_, expression, _) in enumerate(dashboard_expressions(board))]
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
        file.flush()
        return promtool("check", "rules", file.name)


def check():
    manual = read(MANUAL)
    metrics = metrics_of(manual)
    board = json.loads(read(DASHBOARD))
    rules = rules_of(read(RULES))
    assert len(metrics) > 50 and len(rules) > 10 and len(dashboard_expressions(board)) > 40, "nothing was read"
    wrong = check_rules(rules, read(RULES_TEST), manual, metrics) + check_dashboard(board, metrics)
    wrong += promtool("check", "rules", "--lint-fatal", RULES) + promtool("test", "rules", RULES_TEST)
    wrong += promtool("check", "config", SCRAPE) + check_parses(board)
    print("\n".join(wrong) if wrong else f"{len(rules)} alerts and {len(dashboard_expressions(board))} expressions of the "
          f"dashboard name what is there, of {len(metrics)} series")
    return not wrong


# -- the checks themselves

def self_test():
    manual, test = read(MANUAL), read(RULES_TEST)
    metrics, rules, board = metrics_of(manual), rules_of(read(RULES)), json.loads(read(DASHBOARD))
    assert metrics["lb_workers"].labels == {"state": {"serving", "draining"}}, metrics["lb_workers"].labels
    assert metrics["lb_backend_failures_total"].labels.keys() == {"pool", "backend", "failure"}
    assert metrics["lb_request_duration_seconds_bucket"].labels.keys() == {"pool", "le"}
    planted = {
        "lb_request_total": "lb_request_total is no metric",
        "rate(lb_requests_total{listener=\"web\"}[5m])": "has no label listener",
        "rate(lb_requests_total{class=\"6xx\"}[5m])": "class is never 6xx",
        "rate(lb_requests_total{class=~\"5xx|7xx\"}[5m])": "class is never 7xx",
        "lb_request_duration_seconds": "is no metric",
        "sum by (listener) (rate(lb_requests_total[5m]))": "label listener to group by",
        "sum by (pool) (rate(lb_requests_total{pool=~\".*\"}[5m])) / on (backend) lb_workers": "label backend to group by",
        "rat(lb_requests_total[5m])": "rat is no metric",
        "lb_workers{state=serving}": "cannot read",
        "time() > 1": "names no metric",
    }
    for expression, what in planted.items():
        found = mistakes_of(expression, metrics)
        assert any(what in each for each in found), (expression, found)
    for expression in ("up{job=\"lb\"} == 0", "1 - lb_workers{state=~\"serving|draining\", instance=~\".*\"} > 0"):
        assert not mistakes_of(expression, metrics), (expression, mistakes_of(expression, metrics))

    assert not check_rules(rules, test, manual, metrics)
    first = rules[0][0]
    for wrong in (check_rules([*rules, ("LbNew", "up == 0")], test, manual, metrics),
                  check_rules(rules, re.sub(rf"alertname: {first}\b", "alertname: Other", test), manual, metrics),
                  check_rules(rules, test, manual.replace(f".B {first}\n", ".B Other\n"), metrics)):
        assert wrong

    def planted_in(change):
        other = copy.deepcopy(board)
        change(other)
        return check_dashboard(other, metrics)
    assert not planted_in(lambda other: None)
    query = next(number for number, panel in enumerate(board["panels"]) if panel["type"] == "timeseries")
    target = ("panels", query, "targets", 0)

    def put(path, value):
        def change(other):
            for key in path[:-1]:
                other = other[key]
            other[path[-1]] = value
        return change
    changes = [put(("panels", 1, "id"), board["panels"][2]["id"]), put(("panels", 1, "gridPos", "x"), board["panels"][2]["gridPos"]["x"]),
               put(("panels", 1, "gridPos", "x"), 30), put((*target, "expr"), "lb_nothing"), put((*target, "legendFormat"), "{{backend}}"),
               put((*target, "expr"), "sum by (class) (lb_workers{state=~\"$stage\"})"), put((*target, "datasource"), None),
               put(("templating", "list", 3, "definition"), "label_values(lb_nothing, listener)")]
    for number, change in enumerate(changes):
        assert planted_in(change), f"change {number} of the dashboard was not noticed"
    print(f"{len(planted) + 3 + len(changes)} planted mistakes were found")
    return True


def main():
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(0 if self_test() else 1)
    if not shutil.which("promtool"):
        print("promtool is not installed (Debian package: prometheus)")
        sys.exit(0)
    sys.exit(0 if check() else 1)


if __name__ == "__main__":
    main()
