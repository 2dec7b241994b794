"""What is sent again, where to, and what never is."""
from lbtest import Ended, pool


def hangs_up(connection):
    connection.request()


def test_a_refused_connection_is_retried_and_the_client_never_notices(t):
    s1, s2 = t.refusing("s1"), t.backend("s2")
    lb = t.lb(pool(s1, s2))
    client = t.client(lb)
    assert [client.get("/hello").text for _ in range(4)] == ["s2"] * 4
    assert client.post("/hello", b"nothing was sent yet, so this may go elsewhere").text == "s2"
    assert lb.metric("lb_retries_total", pool="app") >= 2
    lb.wait_metric(5, "lb_backend_requests_total", backend=str(s2), class_="2xx")


def test_all_refused_ends_after_the_tries(t):
    lb = t.lb(pool(*[t.refusing() for _ in range(5)], more="retries = 2\n"))
    assert t.get(lb).status == 502
    lb.wait_metric(3, "lb_backend_connects_total")
    lb.wait_metric(2, "lb_retries_total", pool="app")


def test_retries_0_tries_once(t):
    lb = t.lb(pool(t.refusing(), t.refusing(), more="retries = 0\n"))
    assert t.get(lb).status == 502
    lb.wait_metric(1, "lb_backend_connects_total")


def test_a_get_is_sent_again_when_the_backend_hangs_up(t):
    s1, s2 = t.backend("s1", hangs_up), t.backend("s2")
    lb = t.lb(pool(s1, s2))
    client = t.client(lb)
    assert [client.get("/").text for _ in range(4)] == ["s2"] * 4
    assert len(s1.requests) == 2, "every other request met s1 first"
    lb.wait_metric(2, "lb_retries_total", pool="app")


def test_a_post_that_may_have_been_seen_is_never_sent_again(t):
    s1, s2 = t.backend("s1", hangs_up), t.backend("s2")
    lb = t.lb(pool(s1, s2))
    answers = sorted(t.client(lb).post("/", b"charge my card").status for _ in range(2))
    assert answers == [200, 502]
    assert len(s1.requests) == 1 and len(s2.requests) == 1
    lb.wait_metric(0, "lb_retries_total", pool="app")


def test_a_put_is_sent_again_with_its_body(t):
    s1, s2 = t.backend("s1", hangs_up), t.backend("s2")
    lb = t.lb(pool(s1, s2))
    client = t.client(lb)
    for _ in range(2):
        client.ask("PUT", "/x", body=b"the same state")
        assert client.answer().text == "s2"
    assert [r.body for r in s2.requests] == [b"the same state"] * 2


def test_nothing_is_sent_again_once_the_answer_began(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1")
    s1, s2 = t.backend("s1", script), t.backend("s2")
    lb, answers = t.lb(pool(s1, s2)), []
    for _ in range(2):
        client = t.client(lb)
        client.ask("GET")
        try:
            answers.append(client.answer().text)
        except Ended:
            answers.append("cut")
    assert sorted(answers) == ["cut", "s2"] and len(s2.requests) == 1
    lb.wait_metric(0, "lb_retries_total", pool="app")


def test_a_stale_connection_is_replaced_by_a_new_one_of_the_same_backend(t):
    def script(connection):
        connection.request()
        connection.answer()
        if connection.number == 0:
            connection.head()  # the second request arrives, and this side hangs up
            connection.reset()
        else:
            connection.request()
            connection.answer()
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1))
    client = t.client(lb)
    assert client.get("/1").text == "s1"
    assert client.get("/2").text == "s1"
    assert [(r.target, r.connection) for r in s1.requests] == [("/1", 0), ("/2", 1)]
    lb.wait_metric(1, "lb_retries_total", pool="app")


def test_a_connection_closed_while_idle_is_never_used(t):
    def script(connection):
        connection.request()
        connection.answer()
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1))
    client = t.client(lb)
    assert client.get("/1").text == "s1"
    lb.wait_metric(0, "lb_backend_connections")
    client.ask("POST", "/2", body=b"not idempotent")
    assert client.answer().text == "s1"
    lb.wait_metric(0, "lb_retries_total", pool="app")


def test_a_slow_backend_is_retried_only_when_the_operator_says_so(t):
    def never_answers(connection):
        connection.request()
        connection.take(1)
    s1, s2 = t.backend("s1", never_answers), t.backend("s2")
    lb = t.lb(pool(s1, s2, more="response_timeout = 200ms\nretries = 1 on=connect,reset,timeout\n"))
    client = t.client(lb)
    assert [client.get("/").text for _ in range(2)] == ["s2"] * 2
    lb.wait_metric(1, "lb_retries_total", pool="app")
