"""Backends that say more, less or something else than they were asked: no client hears what was meant for another, each
lie is counted by its kind, and nothing of it stays behind."""
from lbtest import Ended, Silent, pool

OK = "HTTP/1.1 200 OK\r\nContent-Length: {0}\r\n\r\n{1}"
EVIL = OK.format(4, "evil")
SWITCH = "HTTP/1.1 101 Switching Protocols\r\n"


def ok(body):
    return OK.format(len(body), body)


def until_closed(connection, piece):
    """Sends the piece again and again, a moment apart, until lb closes the connection; returns how often."""
    connection.sock.settimeout(0.05)
    times = 0
    try:
        while True:
            connection.send(piece)
            times += 1
            try:
                connection._more()
            except Silent:
                pass  # lb said nothing: the next piece
    except (Ended, OSError):
        return times


def nothing_is_left(lb, connections=0):
    lb.wait_metric(connections, "lb_backend_connections")
    lb.wait_metric(connections, "lb_backend_idle_connections")
    lb.wait_metric(0, "lb_backend_in_flight")


# -- answers nobody asked for


def test_what_comes_on_an_idle_connection_is_nobodys_answer(t):
    for lie in (EVIL, "x", "\r\n", "HTTP/1.1 200 OK\r\nX: e", "HTTP/1.1 100 Continue\r\n\r\n"):
        go = t.gate()

        def script(connection, lie=lie, go=go):
            connection.request()
            connection.send(ok(f"own {connection.number}"))
            if connection.number == 0:
                go.wait()
                connection.send(lie)
            while True:
                connection.request()
                connection.send(ok(f"own {connection.number}"))
        s1 = t.backend(None, script)
        lb = t.lb(pool(s1, more="keepalive_timeout = 60s\n"))
        first = t.client(lb)
        assert first.get("/1").text == "own 0"
        lb.wait_metric(1, "lb_backend_idle_connections")
        go.open()
        t.wait(lambda s1=s1: not s1.open, "lb closes the connection that speaks unasked")
        nothing_is_left(lb)
        assert t.client(lb).get("/2").text == "own 1"
        assert first.get("/3").text == "own 1"
        nothing_is_left(lb, 1)
        assert s1.connections == 2 and [r.connection for r in s1.requests] == [0, 1, 1]


def answered_twice(t, method, answer):
    """One request answered twice in one segment: the next requests of this client and of another get their own answers."""
    def script(connection):
        while True:
            request = connection.request()
            if connection.number == 0:
                connection.send(answer + EVIL)
            else:
                connection.answer(200, request.target, to=request.method)
    s1 = t.backend("s1", script)
    lb = t.lb(pool(s1))
    one, other = t.client(lb), t.client(lb)
    one.ask(method, "/first")
    one.ask("GET", "/second")  # pipelined: it is lent a connection in the turn in which the first one is over
    yield one.answer()
    assert one.answer().text == "/second"
    assert other.get("/third").text == "/third"
    nothing_is_left(lb, 1)
    assert s1.connections == 2
    lb.wait_metric(3, "lb_exchanges_total", end="done")


def test_a_second_answer_behind_a_length_is_dropped(t):
    for answer in answered_twice(t, "GET", ok("first")):
        assert answer.text == "first"


def test_a_second_answer_behind_the_last_chunk_is_dropped(t):
    wire = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\nX-Sum: 1\r\n\r\n"
    for answer in answered_twice(t, "GET", wire):
        assert answer.text == "first"


def test_what_follows_the_answer_to_head_is_dropped(t):
    for answer in answered_twice(t, "HEAD", f"HTTP/1.1 200 OK\r\nContent-Length: {len(EVIL)}\r\n\r\n"):
        assert answer.get("Content-Length") == str(len(EVIL)) and not answer.body


def test_what_follows_204_is_dropped(t):
    for answer in answered_twice(t, "GET", "HTTP/1.1 204 No Content\r\n\r\n"):
        assert answer.status == 204


def test_what_follows_304_is_dropped(t):
    for answer in answered_twice(t, "GET", f"HTTP/1.1 304 Not Modified\r\nContent-Length: {len(EVIL)}\r\n\r\n"):
        assert answer.status == 304


def test_an_answer_with_the_request_half_sent_ends_both_connections(t):
    for behind in (EVIL, ""):
        def script(connection, behind=behind):
            message = connection.head()
            connection.received(message)
            if message.method == "POST":
                connection.send(ok("early") + behind)
                connection.take(100000)
            else:
                connection.send(ok("own"))
                connection.take(1)
        s1 = t.backend(None, script)
        lb = t.lb(pool(s1))
        client = t.client(lb)
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nbegin")
        answer = client.answer(to="POST")
        assert answer.text == "early" and answer.get("Connection").lower() == "close"
        assert t.client(lb).get("/").text == "own" and s1.connections == 2
        lb.wait_metric(1, "lb_backend_connections")


# -- time


def late(t, begin, piece):
    said = []

    def script(connection):
        connection.request()
        connection.send(begin)
        said.append(until_closed(connection, piece))
    lb = t.lb(pool(t.backend("s1", script), more="response_timeout = 600ms\n"))
    client = t.client(lb)
    with t.lasts(0.4, 8):
        client.ask("GET", "/")
        answer = client.answer()
    assert answer.status == 504
    t.wait(lambda: said, "lb closes the connection")
    assert said[0] > 2, "the limit did not end it before it dripped"
    lb.wait_metric(1, "lb_backend_failures_total", failure="response_timeout")
    lb.wait_metric(1, "lb_exchanges_total", end="response_timeout")
    nothing_is_left(lb)
    return answer


def test_a_head_that_drips_does_not_push_the_time_limit(t):
    late(t, "HTTP/1.1 200 OK\r\nX-Drip: ", "x")


def test_interim_answers_do_not_push_the_time_limit(t):
    assert late(t, "", "HTTP/1.1 102 Processing\r\n\r\n").interim


def test_continue_again_and_again_does_not_push_the_time_limit(t):
    assert not late(t, "", "HTTP/1.1 100 Continue\r\n\r\n").interim


# -- each lie by its kind


def lies(t, answer, failure, status=502, ask="GET / HTTP/1.1\r\nHost: test\r\n\r\n", ends=True):
    """The backend sends that once, and the truth to whoever comes later."""
    def script(connection):
        connection.request()
        if connection.number == 0:
            connection.send(answer)
            if not ends:
                connection.take(1)  # until lb has had enough
            return
        connection.send(ok("truth"))
        connection.take(1)
    s1 = t.backend(None, script)
    lb = t.lb(pool(s1))
    client = t.client(lb)
    client.send(ask)
    if status is None:
        try:
            client.answer()
            raise AssertionError("the client cannot tell that something is missing")
        except Ended:
            pass
    else:
        assert client.answer().status == status
    lb.wait_metric(1, "lb_backend_failures_total", failure=failure)
    lb.wait_metric(1, "lb_backend_failures_total")
    lb.wait_metric(0, "lb_tunnels")
    nothing_is_left(lb)
    assert t.client(lb).get("/").text == "truth"
    nothing_is_left(lb, 1)
    return lb


def test_what_is_no_answer_is_refused_before_more_of_it_comes(t):
    for answer in ("OK", "HTTP/1.1\r\n\r\n", "HTTP/1.1 20\r\n", "\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\n"):
        lies(t, answer, "bad_response", ends=False)


def test_half_a_head_and_an_end_is_a_bad_answer(t):
    for answer in ("HTTP/1.1 2", "HTTP/1.1 200 OK\r\nX-A: 1\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n"):
        lies(t, answer, "bad_response")


def test_a_flood_of_interim_answers_is_a_bad_answer(t):
    lies(t, "HTTP/1.1 102 Processing\r\n\r\n" * 65 + ok("late"), "bad_response", ends=False)


def test_content_behind_an_interim_answer_is_a_bad_answer(t):
    lies(t, "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nevil" + ok("late"), "bad_response", ends=False)


def test_a_connection_with_content_behind_an_interim_answer_is_not_used_again(t):
    """The content looks like the answer, so the answer itself would meet the next request."""
    for lines in (f"Content-Length: {len(EVIL)}", "Transfer-Encoding: chunked", "Connection: close"):
        def script(connection, lines=lines):
            connection.request()
            if connection.number == 0:
                connection.send(f"HTTP/1.1 103 Early Hints\r\n{lines}\r\n\r\n{EVIL}")
            else:
                connection.send(ok("own"))
            connection.request()
            connection.send(ok("the first one's"))
        s1 = t.backend(None, script)
        lb = t.lb(pool(s1))
        client = t.client(lb)
        assert client.get("/").text == "evil"
        assert client.get("/").text == "own" and s1.connections == 2
        nothing_is_left(lb, 1)


def test_an_answer_shorter_than_announced_is_cut(t):
    lies(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "cut", status=None)
    lies(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n", "cut", status=None)


UPGRADE = "GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket, chat/2\r\n\r\n"


def test_a_switch_to_what_nobody_asked_for_is_a_bad_answer(t):
    for lines in ("Connection: Upgrade\r\nUpgrade: evil\r\n", "Connection: Upgrade\r\nUpgrade: websocket, evil\r\n",
                  "Connection: Upgrade\r\nUpgrade: evil\r\nUpgrade: websocket\r\n", "Connection: Upgrade\r\n",
                  "Connection: close\r\nUpgrade: websocket\r\n", "Upgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade:\r\n",
                  "Connection: Upgrade\r\nUpgrade: chat\r\n"):
        lies(t, SWITCH + lines + "\r\nevil", "bad_response", ask=UPGRADE, ends=False)


def test_a_switch_that_nobody_asked_for_is_a_bad_answer(t):
    lies(t, SWITCH + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nevil", "bad_response", ends=False)


def test_a_switch_may_name_its_choice_in_several_lines(t):
    def script(connection):
        connection.request()
        connection.send(SWITCH + "Connection: x\r\nConnection: UPGRADE\r\nUpgrade: Chat/2\r\nUpgrade: websocket\r\n\r\nhello")
        connection.take(3)
    client = t.client(t.lb(pool(t.backend("s1", script))))
    client.send(UPGRADE)
    answer = client.head()
    assert (answer.status, answer.get("Connection"), answer.get("Upgrade")) == (101, "Upgrade", "Chat/2, websocket")
    assert client.take(5) == b"hello"
    client.send("bye")
    client.expect_end()


# -- what Connection names


def test_trailers_that_connection_names_end_here(t):
    def script(connection):
        while True:
            request = connection.request()
            named = "Connection: x-hop\r\n" if request.target == "/named" else ""
            connection.send(f"HTTP/1.1 200 OK\r\n{named}Transfer-Encoding: chunked\r\n\r\n0\r\nX-Hop: 1\r\n\r\n")
    client = t.client(t.lb(pool(t.backend("s1", script))))
    assert not client.get("/named").trailers
    assert client.get("/").trailers, "a trailer that nobody names goes on"


def test_a_date_that_connection_names_is_replaced(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nConnection: Date\r\nDate: Thu, 01 Jan 1970 00:00:06 GMT\r\nContent-Length: 0\r\n\r\n")
    answer = t.get(t.lb(pool(t.backend("s1", script))))
    date, = answer.all("Date")
    assert "1970" not in date
