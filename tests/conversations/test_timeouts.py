"""Every wait has an end. The limits here are short, the bounds wide: a busy machine is late, never early."""
import socket

from lbtest import Ended, pool


def never_answers(connection):
    connection.request()
    connection.take(1)


def test_half_a_head_gets_408(t):
    lb = t.lb("[listener web]\nheader_timeout = 300ms\n" + pool(t.backend("s1")))
    client = t.client(lb)
    client.send("GET / HTTP/1.1\r\nHo")
    with t.lasts(0.2, 3):
        assert client.answer().status == 408
    client.expect_gone()
    lb.wait_metric(1, "lb_exchanges_total", end="header_timeout")


def test_a_head_that_drips_gets_408_too(t):
    lb = t.lb("[listener web]\nheader_timeout = 500ms\n" + pool(t.backend("s1")))
    client = t.client(lb)
    client.sock.settimeout(0.1)
    with t.lasts(0.3, 3):
        try:
            for byte in b"GET / HTTP/1.1\r\nHost: test\r\nX-Drip: " + b"x" * 1000:
                client.sock.sendall(bytes([byte]))
                try:
                    client._more()
                    break
                except AssertionError:
                    pass  # nothing yet: the next byte
        except OSError:
            pass
    client.sock.settimeout(5)
    assert client.answer().status == 408


def test_an_idle_client_is_closed_without_a_word(t):
    client = t.client(t.lb("[listener web]\nidle_timeout = 300ms\n" + pool(t.backend("s1"))))
    assert client.get("/").text == "s1"
    with t.lasts(0.2, 3):
        client.expect_end()


def test_a_client_that_never_says_anything_is_closed(t):
    client = t.client(t.lb("[listener web]\nheader_timeout = 300ms\nidle_timeout = 300ms\n" + pool(t.backend("s1"))))
    with t.lasts(0.1, 3):
        client.expect_gone()


def test_a_request_body_that_stops_gets_408(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\nbody_timeout = 300ms\n" + pool(s1))
    client = t.client(lb)
    client.ask("POST", fields={"Content-Length": "10"})
    client.send("half")
    with t.lasts(0.2, 3):
        assert client.answer().status == 408
    client.expect_gone()
    assert not s1.requests
    lb.wait_metric(1, "lb_exchanges_total", end="body_timeout")


def test_a_backend_that_thinks_too_long_gets_504(t):
    lb = t.lb(pool(t.backend("s1", never_answers), more="response_timeout = 300ms\n"))
    client = t.client(lb)
    with t.lasts(0.2, 3):
        assert client.get("/").status == 504
    lb.wait_metric(1, "lb_exchanges_total", end="response_timeout")
    lb.wait_metric(1, "lb_backend_failures_total", failure="response_timeout")
    lb.wait_metric(0, "lb_backend_connections")


def test_an_answer_that_stops_in_the_middle_is_cut(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        connection.take(1)
    lb = t.lb(pool(t.backend("s1", script), more="body_timeout = 300ms\n"))
    client = t.client(lb)
    client.ask("GET")
    answer = client.head()
    with t.lasts(0.2, 3):
        try:
            client.body_of(answer)
            raise AssertionError("half an answer looks whole")
        except Ended:
            pass
    lb.wait_metric(1, "lb_exchanges_total", end="backend_stalled")


def test_a_client_that_stops_reading_is_cut(t):
    def script(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n" + bytes(64 << 20))
    lb = t.lb("[listener web]\nbody_timeout = 300ms\n" + pool(t.backend("s1", script), more="body_timeout = 30s\n"))
    client = t.client(lb, receive_buffer=4096)
    client.ask("GET")
    lb.wait_metric(1, "lb_exchanges_total", end="client_stalled")


def deaf(t):
    """An address where the handshake never ends: its queue of connections is full and nobody accepts."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    t.closes(listener)
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        t.closes(filler)
    return "127.0.0.1:%d" % listener.getsockname()[1]


def test_a_backend_that_does_not_connect_in_time_gets_504(t):
    lb = t.lb(pool(deaf(t), more="connect_timeout = 300ms\nretries = 0\n"))
    client = t.client(lb)
    with t.lasts(0.2, 3):
        assert client.get("/").status == 504
    lb.wait_metric(1, "lb_exchanges_total", end="connect_timeout")


def test_after_a_connect_timeout_another_backend_is_tried(t):
    s2 = t.backend("s2")
    lb = t.lb(pool(deaf(t), s2, more="connect_timeout = 300ms\n"))
    client = t.client(lb)
    for _ in range(2):  # one of them met the deaf one first
        assert client.post("/", b"nothing of it was sent").text == "s2"
    lb.wait_metric(1, "lb_retries_total", pool="app")


def test_request_timeout_bounds_the_whole_exchange(t):
    def drips(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        connection.sock.settimeout(0.05)
        while True:
            connection.sock.sendall(b"x")
            try:
                connection._more()
            except AssertionError:
                pass  # it is still there: the next byte
    s1, s2 = t.backend("s1", never_answers), t.backend("s2", drips)
    lb = t.lb("[listener web]\nrequest_timeout = 400ms\n" + pool(s1, s2))
    client = t.client(lb)
    with t.lasts(0.3, 3):
        assert client.get("/").status == 504
    client = t.client(lb)
    client.ask("GET")
    answer = client.head()
    assert answer.status == 200
    with t.lasts(0.1, 3):
        try:
            client.body_of(answer)
            raise AssertionError("an answer without its end looks whole")
        except Ended:
            pass
    lb.wait_metric(2, "lb_exchanges_total", end="request_timeout")
