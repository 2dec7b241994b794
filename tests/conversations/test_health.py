"""Checks: when a backend leaves, when it returns, and what the operator is told."""
from lbtest import pool

HTTP = "check = http GET /healthz expect=200-299 interval=300ms timeout=300ms rise=2 fall=3\n"
TCP = "check = tcp interval=300ms timeout=300ms rise=2 fall=2\n"


def test_an_http_check_asks_for_its_path(t):
    s1 = t.backend("s1")
    t.lb(pool(s1, more=HTTP))
    t.wait(lambda: len(s1.checks) >= 2, "two checks")
    check = s1.checks[0]
    assert check.line == "GET /healthz HTTP/1.1" and check.get("Host") == str(s1)
    assert not s1.requests


def test_a_backend_falls_after_3_failures_and_rises_after_2_passes(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1, s2, more=HTTP))
    lb.wait_metric(1, "lb_backend_up", backend=str(s1))
    failed_before = lb.metric("lb_backend_checks_total", backend=str(s1), result="fail")
    s1.check_status = 500
    lb.wait_log(str(s1), "down")
    failures = lb.metric("lb_backend_checks_total", backend=str(s1), result="fail") - failed_before
    assert failures >= 3
    assert any("500" in line and str(s1) in line for line in lb.log), "the line says what the check saw"
    lb.wait_metric(0, "lb_backend_up", backend=str(s1))
    assert {t.get(lb).text for _ in range(6)} == {"s2"}
    s1.check_status = 204
    mark = len(lb.log)
    checks_before = len(s1.checks)
    lb.wait_log(str(s1), "up", since=mark)
    assert len(s1.checks) - checks_before >= 2
    lb.wait_metric(1, "lb_backend_up", backend=str(s1))
    assert {t.get(lb).text for _ in range(6)} == {"s1", "s2"}
    # Up at start does not count as a change: down and up do.
    lb.wait_metric(2, "lb_pool_backends", pool="app", state="up")


def test_one_failed_check_changes_nothing(t):
    def script(connection):
        while True:
            request = connection.request()
            every_third = request.target == "/healthz" and len(connection.backend.checks) % 3 == 0
            connection.answer(503 if every_third else 200, to=request.method)
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1, more=HTTP))
    t.wait(lambda: len(s1.checks) >= 12, "twelve checks, four of them bad")
    assert not any("down" in line and str(s1) in line for line in lb.log)
    assert lb.metric("lb_backend_up", backend=str(s1)) == 1
    assert lb.metric("lb_backend_checks_total", backend=str(s1), result="fail") >= 3


def test_a_tcp_check_sees_a_backend_die_and_return(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1, s2, more=TCP))
    s1.dies()
    lb.wait_log(str(s1), "down")
    lb.wait_metric(0, "lb_backend_up", backend=str(s1))
    assert {t.get(lb).text for _ in range(4)} == {"s2"}
    mark = len(lb.log)
    s1.listens()
    lb.wait_log(str(s1), "up", since=mark)
    t.wait(lambda: t.get(lb).text == "s1", "s1 gets traffic again")


def test_a_check_that_gets_no_answer_fails(t):
    def script(connection):
        request = connection.request()
        if request.target == "/healthz":
            connection.take(1)
        connection.answer()
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1, more="check = http GET /healthz interval=200ms timeout=100ms rise=1 fall=1\n"))
    lb.wait_metric(0, "lb_backend_up", backend=str(s1))
    assert t.get(lb).status == 503


def test_nobody_is_used_before_the_first_check_passed(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    s1.check_status = 503
    lb = t.lb(pool(s1, s2, more=HTTP))
    assert {t.get(lb).text for _ in range(6)} == {"s2"}
    assert not s1.requests


def test_start_up_trusts_a_new_backend_at_once(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1, more="check = http GET /healthz interval=60s timeout=5s rise=2 fall=3 start=up\n"))
    assert t.get(lb).text == "s1"


def test_a_refused_request_starts_a_check_at_once(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1, s2, more="check = tcp interval=60s timeout=1s rise=1 fall=1\n"))
    lb.wait_metric(2, "lb_pool_backends", pool="app", state="up")
    s1.dies()
    # The next checks are due in a minute; the refused connection of a request must be enough.
    for _ in range(4):
        assert t.get(lb).text == "s2"
    lb.wait_log(str(s1), "down", within=5)


def test_the_operator_sees_each_backend_in_the_log_and_in_the_status(t):
    s1, s2 = t.backend("s1"), t.refusing("s2")
    lb = t.lb(pool(f"{s1} name=alpha", f"{s2} name=beta", more="check = tcp interval=300ms timeout=300ms rise=1 fall=1\n"))
    for name in ("alpha", "beta"):
        lb.wait_log(name)
    lb.wait_metric(1, "lb_backend_up", pool="app", backend="alpha")
    lb.wait_metric(0, "lb_backend_up", pool="app", backend="beta")
    health = {backend["name"]: backend["health"] for backend in lb.status()["pools"][0]["backends"]}
    assert health == {"alpha": "up", "beta": "down"}
