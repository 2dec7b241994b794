"""The answers lb gives itself: the status, a text that says why, a log word, and what becomes of the connection."""
from lbtest import Ended, pool


def is_our_answer(answer, status, word=None):
    """lb's own answers say the status and, in the words of the log, why."""
    assert answer.status == status, answer
    assert int(answer.get("Content-Length")) == len(answer.body), answer
    assert answer.text.startswith(f"{status} ") and (word or "") in answer.text, answer.text


def refused(t, lb, request, status, end, listener="web"):
    """Such a request gets this status and a close, and the count of exchanges that ended so rises by one."""
    before = lb.metric("lb_exchanges_total", listener=listener, end=end)
    client = t.client(lb)
    client.send(request)
    is_our_answer(client.answer(), status, end)
    client.expect_gone()
    lb.wait_metric(before + 1, "lb_exchanges_total", listener=listener, end=end)


def test_what_is_no_http_gets_400(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1))
    for request in ("hello\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                    "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx"):
        refused(t, lb, request, 400, "bad_request")
    assert not s1.requests and s1.connections == 0, "nothing of them reached the backend"


def test_a_listener_without_a_pool_answers_404(t):
    lb = t.lb("[listener web]\n")
    client = t.client(lb)
    is_our_answer(client.get("/"), 404)
    is_our_answer(client.get("/again"), 404)
    lb.wait_metric(2, "lb_exchanges_total", end="no_route")


def test_a_body_over_the_limit_gets_413(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\nmax_body = 10k\n" + pool(s1))
    assert t.client(lb).post("/", bytes(10240)).status == 200
    refused(t, lb, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10241\r\n\r\n", 413, "body_too_large")
    assert len(s1.requests) == 1
    # Chunked: nobody knows before it came.
    client = t.client(lb)
    client.ask("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(b"2000\r\n" + bytes(0x2000) + b"\r\n2000\r\n" + bytes(0x1000))
    is_our_answer(client.answer(), 413, "body_too_large")
    assert client.last.get("Connection") == "close", "what is left of the body would look like a request"
    client.expect_gone()
    assert len(s1.requests) == 1, "the backend saw no complete request"


def test_after_an_oversized_body_that_came_whole_the_next_request_is_read_right(t):
    s1 = t.backend("s1")
    client = t.client(t.lb("[listener web]\nmax_body = 10k\n" + pool(s1)))
    client.ask("POST", "/", {"Transfer-Encoding": "chunked"})
    client.send(b"2801\r\n" + bytes(0x2801) + b"\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: test\r\n\r\n")
    is_our_answer(client.answer(), 413, "body_too_large")
    if client.last.get("Connection") == "close":
        client.expect_gone()
    else:
        assert client.answer(to="GET").text == "s1" and s1.requests[-1].target == "/next"


def test_a_request_line_over_the_limit_gets_414(t):
    lb = t.lb("[listener web]\nmax_header = 4k\n" + pool(t.backend("s1")))
    refused(t, lb, "GET /" + "a" * 5000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "header_too_large")


def test_a_head_over_the_limits_gets_431(t):
    lb = t.lb("[listener web]\nmax_header = 4k\nmax_headers = 20\n" + pool(t.backend("s1")))
    refused(t, lb, "GET / HTTP/1.1\r\nHost: a\r\nX: " + "a" * 5000 + "\r\n\r\n", 431, "header_too_large")
    refused(t, lb, "GET / HTTP/1.1\r\nHost: a\r\n" + "X: 1\r\n" * 25 + "\r\n", 431, "header_too_large")


def test_what_we_do_not_do_gets_501_and_505(t):
    lb = t.lb(pool(t.backend("s1")))
    refused(t, lb, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "bad_request")
    refused(t, lb, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "bad_request")
    refused(t, lb, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "bad_request")


def test_a_pool_without_a_backend_that_connects_gets_502(t):
    lb = t.lb(pool(t.refusing()))
    client = t.client(lb)
    is_our_answer(client.get("/"), 502, "connect_failed")
    is_our_answer(client.post("/", b"body"), 502, "connect_failed")
    lb.wait_metric(2, "lb_exchanges_total", end="connect_failed")
    lb.wait_metric(2, "lb_backend_failures_total", failure="connect")


def test_all_down_gets_503_at_once_and_says_so(t):
    s1, s2 = t.refusing("s1"), t.refusing("s2")
    lb = t.lb(pool(s1, s2, more="check = tcp interval=300ms timeout=300ms rise=1 fall=1\n"))
    lb.wait_metric(2, "lb_pool_backends", pool="app", state="down")
    client = t.client(lb)
    with t.lasts(at_most=0.5):
        is_our_answer(client.get("/"), 503, "no_backend")
    assert "0 of 2" in client.last.text, client.last.text
    assert client.last.get("Retry-After") == "1"
    is_our_answer(client.get("/"), 503)
    lb.wait_metric(2, "lb_no_backend_total", pool="app")


def test_an_answer_that_is_no_http_gets_502(t):
    def script(connection):
        connection.request()
        connection.send("200 OK, more or less\r\n\r\n")
    lb = t.lb(pool(t.backend("s1", script)))
    is_our_answer(t.client(lb).get("/"), 502)
    lb.wait_metric(1, "lb_exchanges_total", end="bad_response")


def test_a_backend_that_closes_instead_of_answering_gets_502(t):
    def script(connection):
        connection.request()
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    is_our_answer(client.get("/"), 502)
    is_our_answer(client.post("/", b"x"), 502)
    lb.wait_metric(2, "lb_exchanges_total", end="backend_closed")


def cut_in_the_middle(t, head, first_part):
    def script(connection):
        connection.request()
        connection.send(head + first_part)
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    client.ask("GET")
    answer = client.head()
    try:
        client.body_of(answer)
    except Ended:
        pass
    else:
        raise AssertionError(f"half an answer looks whole: {answer!r}")
    assert answer.body == b"half an"
    lb.wait_metric(1, "lb_exchanges_total", end="backend_cut")
    lb.wait_metric(1, "lb_backend_failures_total", failure="cut")


def test_a_cut_body_with_a_length_is_a_cut_for_the_client(t):
    cut_in_the_middle(t, "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n", "half an")


def test_a_cut_chunked_body_is_a_cut_for_the_client(t):
    cut_in_the_middle(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "7\r\nhalf an\r\n")


def test_errors_are_counted_by_class(t):
    lb = t.lb("[listener web]\n")
    client = t.client(lb)
    client.get("/")
    lb.wait_metric(1, "lb_listener_requests_total", listener="web", class_="4xx")


def test_head_of_an_error_has_no_body(t):
    client = t.client(t.lb("[listener web]\n"))
    client.ask("HEAD", "/")
    answer = client.answer()
    assert answer.status == 404 and int(answer.get("Content-Length")) > 0
    assert client.get("/").status == 404, "and the connection goes on"
