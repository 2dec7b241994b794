"""A real Prometheus scrapes a real lb and evaluates the rules that are shipped for it."""
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from lbtest import pool

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = os.path.join(HERE, "..", "..", "etc", "prometheus", "lb.rules.yml")

CONFIG = """global:
  scrape_interval: 200ms
  evaluation_interval: 200ms
rule_files:
  - {rules}
scrape_configs:
  - job_name: lb
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""

for tool in ("promtool", "prometheus"):
    if not shutil.which(tool):
        print(f"{tool} is not installed (Debian package: prometheus)")
        sys.exit(0)


class Prometheus:
    """One that scrapes this balancer, with the shipped rules but without their `for`: what is true fires at once."""

    def __init__(self, story, lb):
        self.story, self.lines = story, []
        with open(RULES, encoding="utf-8") as file:
            rules = re.sub(r"^(\s+for:) .*$", r"\1 0s", file.read(), flags=re.M)
        config = CONFIG.format(rules=story.write("rules.yml", rules), port=lb.admin_socket.port)
        self.port = story.free_port()
        self._process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={story.write('prometheus.yml', config)}",
             f"--storage.tsdb.path={story.path('data')}", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=story.directory)
        threading.Thread(target=self._listen, daemon=True).start()
        story.wait(lambda: self.value('up{job="lb"}') == 1, "Prometheus has scraped lb", within=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self):
        for line in self._process.stderr:
            self.story.note("prometheus", line.decode("utf-8", "replace").rstrip())

    def ask(self, path):
        assert self._process.poll() is None, f"Prometheus ended with status {self._process.returncode}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]
        except (urllib.error.URLError, ConnectionError):
            return None  # it is still starting

    def value(self, expression):
        """The sum of an expression's series; None when there are none."""
        data = self.ask("query?query=" + urllib.request.quote(expression))
        return sum(float(each["value"][1]) for each in data["result"]) if data and data["result"] else None

    def firing(self):
        """{alert: [labels]} of what fires now."""
        found = {}
        for alert in (self.ask("alerts") or {"alerts": []})["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def wait_fires(self, alert, **labels):
        def fires():
            return next((each for each in self.firing().get(alert, []) if labels.items() <= each.items()), None)
        return self.story.wait(fires, f"{alert}{labels} fires", within=30)

    def wait_silent(self, alert):
        self.story.wait(lambda: alert not in self.firing(), f"{alert} no longer fires", within=30)

    def wait_evaluated(self):
        """Until every rule was evaluated, without an error, on samples taken after this call."""
        since = time.time()

        def done():
            rules = [rule for group in (self.ask("rules") or {"groups": []})["groups"] for rule in group["rules"]]
            assert all(rule["health"] != "err" for rule in rules), [(rule["name"], rule.get("lastError")) for rule in rules]
            scraped = self.ask("query?query=timestamp(up)")
            fresh = scraped and scraped["result"] and float(scraped["result"][0]["value"][1]) > since
            return fresh and rules and all(rule["lastEvaluation"] > stamp for rule in rules)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since + 1))
        self.story.wait(done, "every rule was evaluated", within=30)


CHECK = "check = tcp interval=300ms timeout=300ms rise=1 fall=1\n"


def test_alerts_follow_the_backends(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1, s2, more=CHECK))
    with Prometheus(t, lb) as prometheus:
        for _ in range(20):
            assert t.get(lb).status == 200
        prometheus.wait_evaluated()
        assert not prometheus.firing(), "nothing is wrong"
        s1.dies()
        assert prometheus.wait_fires("LbBackendsDown", pool="app")["severity"] == "warning"
        assert "LbPoolHasNoBackend" not in prometheus.firing(), "one is left"
        s2.dies()
        assert prometheus.wait_fires("LbPoolHasNoBackend", pool="app")["severity"] == "critical"
        for _ in range(5):
            assert t.get(lb).status == 503
        prometheus.wait_fires("LbManyErrors", listener="web")
        s1.listens()
        s2.listens()
        prometheus.wait_silent("LbPoolHasNoBackend")
        prometheus.wait_silent("LbBackendsDown")


def test_alerts_follow_lb_itself(t):
    lb = t.lb(pool(t.backend("s1")), workers=2)
    with Prometheus(t, lb) as prometheus:
        prometheus.wait_evaluated()
        assert not prometheus.firing(), "nothing is wrong"
        good = lb.config
        lb.kill(lb.workers()[0])
        prometheus.wait_fires("LbChildrenDie", child="worker")
        t.write(os.path.basename(lb.config_path), good + "[nonsense]\n")
        assert lb.command("reload").status == 1
        prometheus.wait_fires("LbReloadFailed")
        t.wait(lb.all_workers, "the successor lives")
        lb.signal("TERM")
        assert lb.wait_status() == 0
        prometheus.wait_fires("LbDown", job="lb")


def test_every_expression_of_the_dashboard_is_answered(t):
    sys.path.insert(0, HERE)
    import check  # noqa: PLC0415 - beside this file, which run.py loaded by its path
    lb = t.lb("[limit often]\nrate = 1000/s\n" + pool(t.backend("s1"), more=CHECK)
              + "[route api]\npath = /api/\npool = app\nlimit = often\n")
    for target in ("/", "/api/x"):
        assert t.get(lb, target).status == 200
    with Prometheus(t, lb) as prometheus:
        prometheus.wait_evaluated()
        with open(os.path.join(check.ROOT, check.DASHBOARD), encoding="utf-8") as file:
            board = json.load(file)
        for where, expression, _ in check.dashboard_expressions(board):
            plain = check.substituted(expression)
            assert prometheus.ask("query?query=" + urllib.request.quote(plain)) is not None, (where, plain)
        # Each metric that the dashboard names is on a real page, under the labels it is asked for.
        for name in {name for _, expression, _ in check.dashboard_expressions(board)
                     for name in re.findall(r"\blb_\w+", expression)}:
            assert prometheus.value(f"count({name})"), name
        assert prometheus.value('lb_route_requests_total{route="api", class="2xx"}') == 1
        assert prometheus.value('count(count by (__name__) ({job="lb"}))') > 50, "the whole catalog is there"


def test_promtool_has_nothing_to_say_of_a_page_with_everything_on_it(t):
    s1, s2 = t.backend("s1"), t.refusing("s2")
    lb = t.lb("[admin]\nbackend_histograms = on\n[limit often]\nrate = 1000/s\n"
              + pool(s1, f"{s2} name=beta", more=CHECK) + "[route api]\npath = /api/\npool = app\nlimit = often\n")
    for target in ("/", "/api/x"):
        assert t.get(lb, target).status == 200
    lb.wait_metric(1, "lb_route_requests_total", route="api", class_="2xx")
    scrape = lb.admin("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape.body, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0 and not done.stdout.strip() and not done.stderr.strip(), done
