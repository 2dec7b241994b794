"""Where one thing ends and the next begins at the same moment: connections lent again, uploads cut short, clients that
stop reading just as they finish sending."""
from lbtest import pool


def read_until(client, ending):
    got = b""
    while not got.endswith(ending):
        more = client.sock.recv(65536)
        if not more:
            break
        got += more
    return got


def test_a_long_answer_leaves_nothing_behind_for_the_next_on_its_connection(t):
    gate = t.gate()

    def script(connection):
        connection.request()
        connection.answer(200, "x" * 200000)  # long enough to move inside the kernel
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        gate.wait()
        connection.send("6\r\n world\r\n0\r\n\r\n")

    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    client.send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert read_until(client, b"hello").endswith(b"hello")
    gate.open()
    assert read_until(client, b" world") == b" world"


def test_an_upload_that_was_refused_does_not_hold_up_the_next_one(t):
    lb = t.lb("[listener web]\nmax_body = 1k\nrequest_timeout = 4s\n" + pool(t.backend("s1")))
    client, other = t.client(lb), t.client(lb)
    client.send("POST /1 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    lb.wait_metric(1, "lb_backend_in_flight")
    assert other.get("/warm").status == 200  # leaves an idle connection to the backend
    client.send("800\r\n" + "x" * 2048 + "\r\n0\r\n\r\nPOST /2 HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nabc")
    assert client.answer("POST").status == 413
    client.send("def")
    assert client.answer("POST").status == 200


def test_a_client_that_stops_reading_is_given_up_even_if_it_was_still_sending(t):
    def script(connection):
        connection.take_through(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n" + b"y" * 30000000)

    lb = t.lb("[listener web]\nbody_timeout = 500ms\n" + pool(t.backend("s1", script)))
    client = t.client(lb, receive_buffer=4096)
    client.send("POST /1 HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nabc")
    lb.wait_metric(1, "lb_backend_requests_total", **{"class": "2xx"})
    client.send("def")
    lb.wait_metric(1, "lb_exchanges_total", end="client_stalled", within=8)
    lb.wait_metric(0, "lb_client_connections")
