"""The operator's port."""
import json
import shutil
import subprocess

from lbtest import pool


def test_promtool_has_nothing_to_say(t):
    promtool = shutil.which("promtool")
    assert promtool, "promtool is part of the test tools (Debian: prometheus)"
    s1, s2 = t.backend("s1"), t.refusing("s2")
    lb = t.lb(pool(s1, f"{s2} name=beta", more="check = tcp interval=300ms timeout=300ms fall=1\n"))
    for _ in range(3):
        t.get(lb)
    lb.wait_metric(3, "lb_requests_total", pool="app", class_="2xx")
    scrape = lb.admin("/metrics")
    assert scrape.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run([promtool, "check", "metrics"], input=scrape.body, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0 and not done.stdout.strip() and not done.stderr.strip(), done


def test_a_histogram_counts_every_request_once(t):
    lb = t.lb(pool(t.backend("s1")))
    for _ in range(5):
        t.get(lb)
    lb.wait_metric(5, "lb_request_duration_seconds_count", pool="app")
    assert lb.metric("lb_request_duration_seconds_bucket", pool="app", le="+Inf") == 5
    values = [value for name, labels, value in lb.samples() if name == "lb_request_duration_seconds_bucket"]
    assert values == sorted(values), "cumulative"
    assert lb.metric("lb_backend_response_duration_seconds_count", pool="app") == 5


def test_bytes_and_connections_are_counted(t):
    s1 = t.backend("s1", lambda connection: [connection.answer(200, "x" * 1000) for _ in iter(connection.request, None)])
    lb = t.lb(pool(s1))
    client = t.client(lb)
    client.post("/", bytes(5000))
    lb.wait_metric(1, "lb_client_connections", listener="web")
    assert 5000 < lb.metric("lb_client_received_bytes_total", listener="web") < 5500
    assert 1000 < lb.metric("lb_client_sent_bytes_total", listener="web") < 1500
    assert 5000 < lb.metric("lb_backend_sent_bytes_total") < 5500
    assert 1000 < lb.metric("lb_backend_received_bytes_total") < 1500
    client.close()
    lb.wait_metric(0, "lb_client_connections", listener="web")


def test_healthz_readyz_and_status(t):
    s1, s2 = t.backend("s1"), t.refusing("s2")
    lb = t.lb(pool(f"{s1} name=alpha weight=2", f"{s2} backup", more="check = tcp interval=300ms timeout=300ms rise=1 fall=1\n"), workers=2)
    assert lb.admin("/healthz").status == 200 and lb.admin("/readyz").status == 200
    for _ in range(3):
        t.get(lb)
    lb.wait_metric(3, "lb_requests_total", pool="app")
    answer = lb.admin("/status")
    assert answer.status == 200 and answer.get("Content-Type") == "application/json"
    status = json.loads(answer.body)
    assert status["generation"] == 1 and status["stopping"] is False
    assert sorted(worker["pid"] for worker in status["workers"]) == lb.workers()
    assert {worker["state"] for worker in status["workers"]} == {"serving"}
    app, = status["pools"]
    assert (app["name"], app["requests"]) == ("app", 3)
    alpha, other = app["backends"]
    assert (alpha["name"], alpha["addresses"], alpha["health"], alpha["weight"], alpha["backup"]) == ("alpha", [str(s1)], "up", 2, False)
    assert (other["name"], other["health"], other["backup"]) == (str(s2), "down", True) and other["check_reason"]
    assert [listener["name"] for listener in status["listeners"]] == ["web"]


def test_readyz_fails_while_it_winds_down(t):
    gate = t.gate()

    def script(connection):
        connection.request()
        gate.wait()
        connection.answer()
    lb = t.lb("[global]\nshutdown_grace = 30s\n" + pool(t.backend("s1", script)))
    busy = t.client(lb)
    busy.ask("GET")
    lb.wait_metric(1, "lb_backend_in_flight")
    lb.signal("QUIT")
    t.wait(lambda: lb.admin("/readyz").status == 503, "/readyz fails")
    assert lb.admin("/healthz").status == 200
    another = t.client(lb)
    another.ask("GET")
    lb.wait_metric(2, "lb_backend_in_flight")
    gate.open()
    assert busy.answer().text == "s1" and another.answer().text == "s1", "in the grace new connections are still taken"


def test_other_paths_and_methods_are_refused(t):
    lb = t.lb(pool(t.backend("s1")))
    assert lb.admin("/nothing").status == 404
    for method in ("DELETE", "OPTIONS", "TRACE", "BREW"):
        answer = lb.admin("/metrics", method=method)
        assert (answer.status, answer.get("Allow")) == (405, "GET, HEAD"), (method, answer.status)
    assert lb.admin("/metrics").status == 200


def test_only_allowed_addresses_are_answered(t):
    lb = t.lb("[admin]\nallow = 192.0.2.0/24\n" + pool(t.backend("s1")), ready=False)
    t.wait(lb.all_workers, "the worker lives")
    assert t.get(lb).text == "s1"
    assert lb.admin("/metrics").status == 403


def test_admin_off_opens_nothing(t):
    lb = t.lb(pool(t.backend("s1")), admin=False)
    assert t.get(lb).text == "s1"
    assert not [title for title in lb.children().values() if title.startswith("lb: admin")]
