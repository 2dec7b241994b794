"""What HTTP/1.1 lets a proxy pass on besides requests and answers: interim answers, trailers, and where a body was cut."""
import socket
import threading

from lbtest import Ended, Reset, Silent, pool
from lbtest.wire import PATIENCE


def expecting(method="POST", length=4, target="/"):
    return f"{method} {target} HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"


# -- interim answers


def test_the_backend_says_when_to_continue(t):
    go = t.gate()

    def script(connection):
        while True:
            request = connection.head()
            go.wait()
            connection.send("HTTP/1.1 100 Continue\r\nX-Why: ready\r\n\r\n")
            connection.body_of(request)
            connection.received(request)
            connection.answer(200, "thanks", to=request.method)
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    client.send(expecting())
    client.sock.settimeout(0.3)
    try:
        client._more()
        raise AssertionError("somebody answered for the backend")
    except Silent:
        pass
    client.sock.settimeout(PATIENCE)
    go.open()
    interim = client.head()
    assert (interim.status, interim.get("X-Why")) == (100, "ready")
    client.send("body")
    assert client.answer(to="POST").text == "thanks"
    seen, = s1.requests
    assert seen.get("Expect").lower() == "100-continue" and seen.body == b"body"
    client.send(expecting(length=2))
    assert client.head().status == 100
    client.send("ok")
    assert client.answer(to="POST").text == "thanks"


def refused(t, status):
    def script(connection):
        request = connection.received(connection.head())
        connection.answer(status, "not that", {"Connection": "close"}, to=request.method)
    client = t.client(t.lb(pool(t.backend("s1", script))))
    client.send(expecting(length=1000))
    answer = client.answer(to="POST")
    assert (answer.status, answer.text, answer.interim) == (status, "not that", [])


def test_a_backend_may_refuse_what_is_expected_of_it(t):
    refused(t, 417)


def test_a_backend_may_answer_without_reading_the_body(t):
    refused(t, 200)


def test_a_client_that_does_not_wait_is_served_all_the_same(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    client.send(expecting() + "body")
    assert client.answer(to="POST").text == "s1"
    assert s1.requests[0].body == b"body"
    assert client.get("/next").text == "s1"


def test_early_hints_are_relayed_each_and_in_order(t):
    go = t.gate()

    def script(connection):
        while True:
            connection.request()
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Secret\r\nX-Secret: 1\r\n\r\n")
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </b.js>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
            go.wait()
            connection.answer(200, "page", {"Link": "</a.css>; rel=preload"})
    client = t.client(t.lb(pool(t.backend("s1", script))))
    client.ask("GET")
    first, second, third = client.head(), client.head(), client.head()
    assert (first.status, first.get("Link")) == (103, "</a.css>; rel=preload")
    assert "x-secret" not in first.names() and not first.all("Content-Length") and not first.all("Transfer-Encoding")
    assert (second.status, second.get("Link")) == (103, "</b.js>; rel=preload")
    assert third.status == 102
    go.open()
    assert client.answer().text == "page"
    again = client.get("/")
    assert [each.status for each in again.interim] == [103, 103, 102] and again.text == "page"


def test_a_client_of_http_1_0_hears_no_interim_answer(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        connection.answer(200, "page")
    answer = t.get(t.lb(pool(t.backend("s1", script))), "/", version="1.0")
    assert (answer.status, answer.text, answer.interim) == (200, "page", [])


def test_interim_answers_without_end_are_refused(t):
    def script(connection):
        connection.request()
        try:
            connection.send("HTTP/1.1 102 Processing\r\n\r\n" * 1000)
            connection.take(1)
        except Ended:
            pass
    lb = t.lb(pool(t.backend("s1", script), more="retries = 0\n"))
    client = t.client(lb)
    client.ask("GET")
    answer = client.answer()
    assert answer.status == 502 and len(answer.interim) <= 64
    lb.wait_metric(1, "lb_exchanges_total", end="bad_response")


# -- trailers


def chunked(method="POST", fields=""):
    return f"{method} / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n{fields}\r\n"


def test_trailers_of_a_request_reach_the_backend(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    # All at once, and in pieces.
    client.send(chunked(fields="Trailer: X-Sum\r\n") + "3\r\nabc\r\n0\r\nX-Sum: 6\r\nHost: evil\r\nX-More: 7\r\n\r\n")
    assert client.answer(to="POST").text == "s1"
    client.send(chunked())
    for piece in ("3\r\nabc", "\r\n0\r\nX-Su", "m: 8\r", "\nContent-Length: 99\r\n", "\r\n"):
        client.send(piece)
    assert client.answer(to="POST").text == "s1"
    client.send(chunked() + "3\r\nabc\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: x\r\n\r\n")
    assert client.answer(to="POST").text == "s1"
    first, second, third = s1.requests
    assert (first.body, first.trailers) == (b"abc", [("X-Sum", "6"), ("X-More", "7")])
    assert first.get("Trailer") == "X-Sum"
    assert (second.body, second.trailers) == (b"abc", [("X-Sum", "8")])
    assert (third.body, third.trailers) == (b"abc", [])


def test_trailers_of_an_answer_reach_the_client(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                        "3\r\nabc\r\n0\r\nX-Sum: 6\r\nSet-Cookie: evil=1\r\n\r\n")
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        connection.send("0\r\nX-S")
        connection.send("um: 7\r\n\r\n")
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nLocation: /evil\r\n\r\n")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    first, second, third = (client.get("/", {"TE": "trailers", "Connection": "TE"}) for _ in range(3))
    assert (first.body, first.trailers) == (b"abc", [("X-Sum", "6")])
    assert (second.body, second.trailers) == (b"abc", [("X-Sum", "7")])
    assert (third.body, third.trailers) == (b"", [])
    assert s1.connections == 1


def test_what_a_route_edits_holds_for_trailers_and_interim_answers_too(t):
    def script(connection):
        seen.append(connection.request())
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nServer: secret\r\n\r\n")
        connection.send("HTTP/1.1 200 OK\r\nServer: secret\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                        "0\r\nServer: secret\r\nX-Set: forged\r\nX-Sum: 6\r\n\r\n")
    seen = []
    lb = t.lb(pool(t.backend("s1", script)) + "[route all]\npool = app\nremove_request_header = X-User\n"
              "set_request_header = X-Role guest\nremove_response_header = Server\nset_response_header = X-Set yes\n")
    client = t.client(lb)
    client.send(chunked() + "3\r\nabc\r\n0\r\nX-User: root\r\nX-Role: root\r\nX-Sum: 1\r\n\r\n")
    answer = client.answer(to="POST")
    request, = seen
    assert (request.get("X-Role"), request.trailers) == ("guest", [("X-Sum", "1")])
    hint, = answer.interim
    assert hint.get("Link") == "</a>" and "server" not in hint.names()
    assert answer.get("X-Set") == "yes" and "server" not in answer.names()
    assert answer.trailers == [("X-Sum", "6")]


def test_trailers_have_no_place_without_chunks(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n")
    answer = t.get(t.lb(pool(t.backend("s1", script))), "/", version="1.0")
    assert answer.body == b"abc" and answer.until_close


def test_a_malformed_trailer_is_no_trailer(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        go.wait()
        connection.send("0\r\nX-Sum : 6\r\n\r\n")
    go = t.gate()
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1))
    client = t.client(lb)
    client.ask("GET")
    head = client.head()
    go.open()
    try:
        client.body_of(head, answers="GET")
        raise AssertionError("the answer looks whole")
    except Ended:
        assert head.body == b"abc"
    other = t.client(lb)
    other.send(chunked() + "3\r\nabc\r\n0\r\nX-Sum : 6\r\n\r\n")
    assert other.answer(to="POST").status == 400
    other.expect_gone()


def test_trailers_are_bounded(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    client.send(chunked() + "3\r\nabc\r\n0\r\n" + "X-T: " + "t" * 8000 + "\r\n\r\n")
    assert client.answer(to="POST").text == "s1"
    assert s1.requests[0].trailers == [("X-T", "t" * 8000)]
    client.send(chunked() + "3\r\nabc\r\n0\r\n" + "X-T: " + "t" * 9000 + "\r\n\r\n")
    assert client.answer(to="POST").status == 400


# -- an answer whose backend is gone


def cut(t, head, body):
    """The client gets this head and body, then the backend resets: what the client sees."""
    def script(connection):
        connection.request()
        connection.send(head + body)
        t.wait(lambda: relayed, "the client has it")
        connection.reset()
    relayed = []
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    client.ask("GET")
    message = client.head()
    client.take_through(b"half")
    relayed.append(True)
    lb.wait_metric(1, "lb_exchanges_total", end="backend_cut")
    return client, message


def test_a_cut_answer_with_a_length_stays_short(t):
    client, message = cut(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "half")
    assert message.get("Content-Length") == "100"
    client.expect_gone()


def test_a_cut_chunked_answer_has_no_last_chunk(t):
    client, message = cut(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nhalf\r\n")
    assert message.get("Transfer-Encoding") == "chunked"
    try:
        rest = client.take_rest()
    except Reset:
        rest = bytes(client.buffer)
    assert rest.strip() == b"", rest


def test_a_cut_answer_that_ends_with_its_connection_is_reset(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        t.wait(lambda: relayed, "the client has it")
    relayed = []
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    client.ask("GET", version="1.0")
    client.take_through(b"half")
    relayed.append(True)
    try:
        client.take_rest()
        raise AssertionError("the end looks like the end of the answer")
    except Reset:
        pass


# -- unix sockets


def test_a_listener_and_a_backend_may_be_unix_sockets(t):
    s1 = t.backend("s1", family=socket.AF_UNIX)
    path = t.path("web.sock")
    lb = t.lb(f"[log main]\npath = {t.path('access.log')}\nformat = \"$client_addr $peer_addr $client_port $backend_addr\"\n"
              f"[listener web]\nbind = unix:{path}\n" + pool(s1))
    client = t.client(path)
    for number in range(3):
        assert client.get(f"/{number}").text == "s1"
    client.post("/p", b"x" * 300000)
    assert s1.connections == 1 and len(s1.requests[3].body) == 300000
    client.close()
    t.wait(lambda: t.read("access.log").count("\n") == 4, "four lines")
    assert t.read("access.log").splitlines()[0] == f"unix: unix: 0 unix:{s1.path}"
    s1.dies()
    assert t.client(path).get("/gone").status == 502
    lb.wait_metric(1, "lb_exchanges_total", end="connect_failed")


def test_many_clients_of_a_unix_socket_are_all_served(t):
    s1 = t.backend("s1", family=socket.AF_UNIX)
    path = t.path("web.sock")
    t.lb(f"[listener web]\nbind = unix:{path}\n" + pool(s1), workers=2)
    answers = []

    def one():
        client = t.client(path)
        answers.append(client.get("/").text)
        client.close()
    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == ["s1"] * 50
