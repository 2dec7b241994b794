"""Backends that fail requests while their checks pass: left out for a while; and retries that never make a storm."""
import collections
import os
import signal
import subprocess
import sys

from lbtest import pool


def fails_while(bad):
    def script(connection):
        while True:
            connection.request()
            if bad[0]:
                connection.answer(bad[0], "bad")
            else:
                connection.answer()
    return script


def test_a_backend_that_answers_500_is_left_out_and_comes_back(t):
    bad = [500]
    s1, s2 = t.backend("s1", fails_while(bad)), t.backend("s2")
    lb = t.lb(pool(f"{s1} name=s1", f"{s2} name=s2", more="eject = errors=3 within=10s for=2s at_most=50%\n"), workers=2)
    statuses = collections.Counter(t.get(lb).status for _ in range(6))
    assert statuses == {200: 3, 500: 3}
    lb.wait_log("s1", "eject")
    lb.wait_metric(1, "lb_backend_ejected", pool="app", backend="s1")
    assert {t.get(lb).text for _ in range(8)} == {"s2"}
    bad[0] = 0
    t.wait(lambda: t.get(lb).text == "s1", "it is back after its time")
    lb.wait_metric(1, "lb_backend_ejections_total", pool="app", backend="s1")


def test_a_success_in_between_begins_the_count_anew(t):
    turn = [0]

    def every_third_fails(connection):
        while True:
            connection.request()
            turn[0] += 1
            connection.answer(500 if turn[0] % 3 else 200)
    s1 = t.backend("s1", every_third_fails)
    lb = t.lb(pool(s1, t.backend("s2"), more="eject = errors=3 within=10s for=30s at_most=50%\n"))
    for _ in range(40):
        t.get(lb)
    assert lb.metric("lb_backend_ejections_total", pool="app") == 0


def test_a_backend_that_cuts_its_answers_is_left_out(t):
    def cuts(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 100)
    s1, s2 = t.backend("s1", cuts), t.backend("s2")
    lb = t.lb(pool(f"{s1} name=s1", f"{s2} name=s2", more="eject = errors=3 within=10s for=60s at_most=50%\n"))
    for _ in range(6):
        client = t.client(lb)
        client.ask("GET", "/")
        if client.head().get("Content-Length") == "4000":
            client.expect_gone()
        client.close()
    lb.wait_metric(1, "lb_backend_ejected", pool="app", backend="s1")


def test_never_more_than_the_share_is_ejected(t):
    bad = [500]
    backends = [t.backend(f"s{number}", fails_while(bad)) for number in range(4)]
    lb = t.lb(pool(*(f"{each} name={each.name}" for each in backends),
                   more="eject = errors=2 within=10s for=60s at_most=50%\n"))
    for _ in range(40):
        assert t.get(lb).status == 500
    lb.wait_metric(2, "lb_backend_ejected", pool="app")
    assert lb.metric("lb_backend_ejections_total", pool="app") == 2


def test_panic_uses_all_when_too_few_are_up_and_says_so(t):
    backends = [t.backend(f"s{number}") for number in range(3)]
    check = "check = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1 start=up\n"
    lb = t.lb(pool(*(f"{each} name={each.name}" for each in backends), more=f"{check}panic = 50%\n"))
    backends[0].check_status = backends[1].check_status = 500
    for name in ("s0", "s1"):
        lb.wait_metric(0, "lb_backend_up", pool="app", backend=name)
    lb.wait_metric(1, "lb_pool_panic", pool="app")
    lb.wait_log("pool app", "all of them are used")
    client = t.client(lb)
    assert {client.get("/").text for _ in range(9)} == {"s0", "s1", "s2"}
    backends[0].check_status = 200
    lb.wait_metric(0, "lb_pool_panic", pool="app")
    t.wait(lambda: "s1" not in {client.get("/").text for _ in range(6)}, "only the good ones are used again")


def test_a_long_answer_that_breaks_off_is_a_failure(t):
    def cuts(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 100000)
    bad, good = t.backend("bad", cuts), t.backend("good")
    more = "eject = errors=1 within=10s for=30s at_most=50%\n"
    lb = t.lb(pool(f"{bad} name=bad", f"{good} name=good", more=more))
    for _ in range(2):
        client = t.client(lb)
        client.ask("GET", fields={"Connection": "close"})
        client.expect_gone()
    assert len(bad.requests) == 1
    lb.wait_log("backend bad is ejected")


def test_an_answer_with_a_listed_status_is_sent_elsewhere(t):
    s1, s2 = t.backend("s1", fails_while([503])), t.backend("s2")
    lb = t.lb(pool(s1, s2, more="retries = 2 on=connect,reset,503\n"))
    client = t.client(lb)
    assert [client.get("/").text for _ in range(6)] == ["s2"] * 6
    assert [client.post("/", b"x").status for _ in range(2)].count(503) == 1, "a POST that was seen is never sent again"
    lb.wait_metric(3, "lb_retries_total", pool="app")


def test_when_nobody_else_is_left_the_answer_itself_is_passed_on(t):
    s1, s2 = t.backend("s1", fails_while([503])), t.backend("s2", fails_while([503]))
    answer = t.get(t.lb(pool(s1, s2, more="retries = 5 on=503\n")))
    assert (answer.status, answer.text) == (503, "bad")


def test_retries_stay_within_their_budget(t):
    def resets(connection):
        connection.request()
        connection.reset()
    s1, s2 = t.backend("s1", resets), t.backend("s2", resets)
    lb = t.lb(pool(s1, s2, more="retries = 1 on=reset budget=10% floor=0\n"), workers=2)
    for _ in range(200):
        assert t.get(lb).status == 502
    lb.wait_metric(200, "lb_requests_total", pool="app")
    retries = lb.metric("lb_retries_total", pool="app")
    assert 5 <= retries <= 20, retries
    assert lb.metric("lb_retries_refused_total", pool="app") == 200 - retries


def test_a_refused_connection_costs_no_budget(t):
    dead, s2 = t.refusing(), t.backend("s2")
    lb = t.lb(pool(dead, s2, more="retries = 1 budget=0% floor=0\n"))
    assert [t.get(lb).text for _ in range(10)] == ["s2"] * 10


SERVER = """
import socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, _ = listener.accept()
    while connection.recv(65536):
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nalive")
"""


def test_a_frozen_backend_is_left_out_and_clients_see_little_of_it(t):
    listening = t.socket()
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(listening.sock.fileno())],
                               pass_fds=[listening.sock.fileno()])
    try:
        frozen = f"127.0.0.1:{listening.sock.getsockname()[1]}"
        lb = t.lb(pool(f"{frozen} name=frozen", f"{t.backend('s2')} name=s2",
                       more="eject = errors=2 within=10s for=60s at_most=50%\nresponse_timeout = 1s\n"
                            "retries = 1 on=connect,reset,timeout\n"))
        assert {t.get(lb).text for _ in range(4)} == {"alive", "s2"}
        os.kill(process.pid, signal.SIGSTOP)
        for _ in range(6):
            assert t.get(lb).text == "s2"
        lb.wait_metric(1, "lb_backend_ejected", pool="app", backend="frozen")
        with t.lasts(at_most=1):
            assert {t.get(lb).text for _ in range(10)} == {"s2"}
    finally:
        os.kill(process.pid, signal.SIGCONT)
        process.kill()
        process.wait()
