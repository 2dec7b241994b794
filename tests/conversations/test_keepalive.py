"""How long connections live, on either side."""
from lbtest import pool


def test_many_requests_share_one_connection_on_both_sides(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1))
    client = t.client(lb)
    for number in range(20):
        assert client.get(f"/{number}").text == "s1"
    assert s1.connections == 1
    lb.wait_metric(1, "lb_client_connections_total", listener="web")
    lb.wait_metric(1, "lb_backend_connects_total")
    lb.wait_metric(19, "lb_backend_reuses_total")


def test_another_client_uses_the_backend_connection_that_was_kept(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1))
    for _ in range(5):
        assert t.get(lb).text == "s1"
    assert s1.connections == 1
    lb.wait_metric(1, "lb_backend_idle_connections")


def test_a_client_that_says_close_is_closed_and_the_backend_kept(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1))
    for _ in range(3):
        client = t.client(lb)
        answer = client.get("/", {"Connection": "close"})
        assert answer.get("Connection").lower() == "close"
        client.expect_end()
    assert s1.connections == 1, "what the client wants for its own connection is not passed on"
    assert all("close" not in (r.get("Connection") or "") for r in s1.requests)


def test_a_backend_that_says_close_is_not_used_again_and_the_client_stays(t):
    def script(connection):
        connection.request()
        connection.answer(200, "once", {"Connection": "close"})
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    for number in range(3):
        answer = client.get("/")
        assert answer.text == "once" and (answer.get("Connection") or "").lower() != "close"
        assert s1.connections == number + 1


def test_keepalive_requests_ends_a_connection_politely(t):
    client = t.client(t.lb("[listener web]\nkeepalive_requests = 3\n" + pool(t.backend("s1"))))
    assert [(client.get("/").get("Connection") or "").lower() == "close" for _ in range(3)] == [False, False, True]
    client.expect_end()


def test_an_idle_backend_connection_is_closed_in_time(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1, more="keepalive_timeout = 300ms\n"))
    assert t.get(lb).text == "s1"
    with t.lasts(0.1, 3):
        t.wait(lambda: not s1.open, "the idle connection is closed")
    lb.wait_metric(0, "lb_backend_connections")


def test_a_backends_own_keep_alive_is_honoured_early(t):
    def script(connection):
        while True:
            connection.request()
            connection.answer(200, "ok", {"Keep-Alive": "timeout=1"})  # as N-1: not to be kept at all
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1, more="keepalive_timeout = 60s\n"))
    assert t.get(lb).text == "ok"
    t.wait(lambda: not s1.open, "the connection is closed", within=3)
    assert t.get(lb).text == "ok" and s1.connections == 2


def test_keepalive_bounds_the_idle_connections_of_a_pool(t):
    arrived, go_on = [], t.gate()

    def script(connection):
        while True:
            connection.request()
            arrived.append(1)
            go_on.wait()
            connection.answer()
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1, more="keepalive = 2\n"))
    clients = [t.client(lb) for _ in range(6)]
    for client in clients:
        client.ask("GET")
    t.wait(lambda: len(arrived) == 6, "six requests at once")
    go_on.open()
    for client in clients:
        assert client.answer().text == "s1"
    t.wait(lambda: len(s1.open) == 2, "four of six connections are closed")
    lb.wait_metric(2, "lb_backend_idle_connections")
