"""What a request and its answer look like on the other side."""
import hashlib
import threading

from lbtest import Ended, pool


def test_a_get_reaches_the_backend_and_its_answer_the_client(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1))
    answer = t.client(lb).get("/a/b;p=1?x=%20y&&q", {"User-Agent": "teller"}, host="shop.example")
    assert (answer.status, answer.text) == (200, "s1")
    seen, = s1.requests
    assert seen.line == "GET /a/b;p=1?x=%20y&&q HTTP/1.1"
    assert seen.get("Host") == "shop.example" and seen.get("User-Agent") == "teller"
    assert seen.get("Content-Length") is None and seen.get("Transfer-Encoding") is None


def test_head_has_the_length_but_no_body(t):
    lb = t.lb(pool(t.backend("s1")))
    client = t.client(lb)
    client.ask("HEAD", "/h")
    answer = client.answer()
    assert (answer.status, answer.get("Content-Length"), answer.body) == (200, "2", b"")
    assert client.get("/after").text == "s1"


def test_204_and_304_have_no_body_and_keep_the_connection(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 204 No Content\r\n\r\n")
        connection.request()
        connection.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"e\"\r\n\r\n")
        connection.request()
        connection.answer(200, "body")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    assert client.get("/1").status == 204
    answer = client.get("/2")
    assert (answer.status, answer.get("ETag"), answer.body) == (304, '"e"', b"")
    assert client.get("/3").text == "body"
    assert s1.connections == 1


def test_a_body_with_a_length_arrives_whole(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    assert client.post("/p", b"hello").text == "s1"
    assert client.post("/empty", b"").text == "s1"
    first, second = s1.requests
    assert (first.method, first.get("Content-Length"), first.body) == ("POST", "5", b"hello")
    assert (second.method, second.body) == ("POST", b"")


def test_a_chunked_body_arrives_whole(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    client.send("POST /p HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in ("5\r\nhel", "lo\r\n", "A;ext=1\r\n, chunked ", "\r\n", "0\r\nX-Trailer: kept\r\nHost: no\r\n", "\r\n"):
        client.send(piece)
    assert client.answer(to="POST").text == "s1"
    seen, = s1.requests
    assert seen.body == b"hello, chunked " and "x-trailer" not in seen.names()
    assert [name.lower() for name, _ in seen.trailers] == ["x-trailer"], seen.trailers
    assert client.get("/next").text == "s1"


def test_a_chunked_answer_arrives_whole(t):
    def script(connection):
        while True:
            connection.request()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            connection.send("5;x=y\r\ndefgh\r\n0\r\nX-Sum: 8\r\n\r\n")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    for _ in range(2):
        answer = client.get("/c")
        assert answer.body == b"abcdefgh" and answer.get("Transfer-Encoding").lower() == "chunked"
    assert s1.connections == 1


def test_an_http_1_0_client_gets_no_chunks_and_a_close(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    answer = client.get("/", version="1.0")
    assert answer.body == b"abc" and answer.until_close
    assert s1.requests[0].line == "GET / HTTP/1.1", "backends are spoken to in 1.1"


def test_an_http_1_0_client_may_ask_to_stay(t):
    client = t.client(t.lb(pool(t.backend("s1"))))
    answer = client.get("/", {"Connection": "keep-alive"}, version="1.0")
    assert answer.text == "s1" and answer.get("Connection").lower() == "keep-alive"
    assert client.get("/", version="1.0").text == "s1"
    client.expect_end()


def test_an_answer_that_ends_with_its_connection_is_chunked_for_the_client(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    for number in range(2):
        answer = client.get("/")
        assert answer.text == "until the end" and answer.get("Transfer-Encoding").lower() == "chunked"
        assert s1.connections == number + 1


def test_pipelined_requests_are_answered_in_order(t):
    def script(connection):
        while True:
            request = connection.request()
            connection.answer(200, "answer to " + request.target)
    s1, s2 = t.backend("s1", script), t.backend("s2", script)
    client = t.client(t.lb(pool(s1, s2)))
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % n for n in range(20)))
    assert [client.answer().text for _ in range(20)] == [f"answer to /{n}" for n in range(20)]
    assert len(s1.requests) == len(s2.requests) == 10


def test_a_pipelined_request_behind_a_body_is_not_lost(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    client.send("POST /1 HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbodyPOST /2 HTTP/1.1\r\nHost: test\r\n"
                "Transfer-Encoding: chunked\r\n\r\n4\r\nmore\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: test\r\n\r\n")
    for method in ("POST", "POST", "GET"):
        assert client.answer(to=method).text == "s1"
    assert [(r.target, r.body) for r in s1.requests] == [("/1", b"body"), ("/2", b"more"), ("/3", b"")]


def test_heads_may_come_byte_by_byte(t):
    def script(connection):
        while True:
            connection.request()
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok":
                connection.send(bytes([byte]))
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    for _ in range(2):
        for byte in b"POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc":
            client.send(bytes([byte]))
        assert client.answer(to="POST").text == "ok"
    assert [r.body for r in s1.requests] == [b"abc", b"abc"]


def test_expect_continue_gets_its_interim_answer(t):
    def script(connection):
        request = connection.head()
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        connection.body_of(request)
        connection.received(request)
        connection.answer(200, "thanks")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    client.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    interim = client.head()
    assert interim.status == 100, interim
    client.send("body")
    answer = client.answer(to="POST")
    assert (answer.status, answer.text) == (200, "thanks") and not answer.interim
    assert s1.requests[0].body == b"body"


def test_a_backend_may_refuse_a_body_before_it_came(t):
    def script(connection):
        request = connection.received(connection.head())
        connection.answer(403, "no thanks", {"Connection": "close"}, to=request.method)
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nthe beginning")
    answer = client.answer(to="POST")
    assert (answer.status, answer.text) == (403, "no thanks")


def test_the_backend_is_told_who_asks(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    client.get("/", {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"},
               host="shop.example:8080")
    client.get("/")
    forged, plain = s1.requests
    assert plain.get("X-Forwarded-For") == "127.0.0.1"
    assert plain.get("X-Forwarded-Proto") == "http" and plain.get("X-Forwarded-Host") == "test"
    # What a client says about itself proves nothing: only the last address is ours.
    assert [part.strip() for part in forged.get("X-Forwarded-For").split(",")][-1] == "127.0.0.1"
    assert forged.get("X-Forwarded-Proto") == "http" and forged.get("X-Forwarded-Host") == "shop.example:8080"


def test_forwarded_off_adds_nothing(t):
    s1 = t.backend("s1")
    client = t.client(t.lb("[listener web]\nforwarded = off\n" + pool(s1)))
    client.get("/")
    assert not [name for name in s1.requests[0].names() if name.startswith("x-forwarded")]


def test_fields_of_one_connection_stay_on_it(t):
    def script(connection):
        connection.request()
        connection.answer(200, "ok", {"Connection": "X-Inner", "X-Inner": "1", "Keep-Alive": "timeout=5", "X-Kept": "2",
                                      "Proxy-Connection": "keep-alive"})
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    answer = client.get("/", {"Connection": "keep-alive, X-Secret", "X-Secret": "1", "Keep-Alive": "timeout=9", "TE": "trailers",
                              "Proxy-Connection": "keep-alive", "Upgrade": "h2c", "Proxy-Authorization": "Basic x", "X-Kept": "3"})
    seen, = s1.requests
    for name in ("x-secret", "keep-alive", "proxy-connection", "upgrade"):
        assert name not in seen.names(), seen
    assert seen.get("X-Kept") == "3"
    assert seen.get("TE") == "trailers" and seen.get("Connection") == "TE", seen  # said anew, for this connection
    for name in ("x-inner", "keep-alive", "proxy-connection"):
        assert name not in answer.names(), answer
    assert answer.get("X-Kept") == "2"


def test_large_bodies_pass_unharmed_in_both_directions(t):
    size = 20 << 20
    sent = hashlib.sha256(b"seed").digest() * (size // 32)

    def script(connection):
        while True:
            request = connection.request()
            connection.answer(200, request.body)
    client = t.client(t.lb(pool(t.backend("s1", script))))
    client.ask("POST", "/length", body=None, fields={"Content-Length": len(sent)})
    threading.Thread(target=client.send, args=(sent,), daemon=True).start()
    assert client.answer().body == sent


def test_large_chunked_bodies_pass_unharmed_in_both_directions(t):
    piece = hashlib.sha256(b"piece").digest() * 3000  # 96 000 bytes
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for _ in range(20)) + b"0\r\n\r\n"

    def script(connection):
        while True:
            connection.request()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.send(chunks)
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    for _ in range(2):
        client.ask("POST", "/", {"Transfer-Encoding": "chunked"})
        client.send(chunks)
        assert client.answer().body == piece * 20
    assert [r.body == piece * 20 for r in s1.requests] == [True, True]


def resident(pid):
    """Bytes of memory that are the process's own: not what it shares, such as the table and the binary."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(("Private_Dirty", "Private_Clean")))


def test_a_slow_reader_stops_the_backend_and_costs_no_memory(t):
    size, stalled, go_on = 64 << 20, t.gate(), t.gate()

    def script(connection):
        connection.request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        connection.sock.settimeout(0.5)  # a send that waits this long is held back by the other side
        left, block = size, bytes(1 << 16)
        while left:
            try:
                left -= connection.sock.send(block[:left])
            except TimeoutError:
                stalled.open()
                go_on.wait()
                connection.sock.settimeout(10)
    lb = t.lb(pool(t.backend("s1", script)))
    worker, = lb.workers()
    before = resident(worker)
    client = t.client(lb, receive_buffer=65536)
    client.ask("GET")
    answer = client.head()
    stalled.wait()
    assert resident(worker) - before < 4 << 20, f"the worker grew by {resident(worker) - before} bytes"
    go_on.open()
    client.body_of(answer, answers="GET")
    assert len(answer.body) == size


def test_a_slow_backend_stops_the_client_and_costs_no_memory(t):
    size, go_on = 64 << 20, t.gate()

    def script(connection):
        request = connection.head()
        go_on.wait()
        connection.body_of(request)
        connection.received(request)
        connection.answer(200, str(len(request.body)))
    lb = t.lb("[defaults]\nmax_body = off\n" + pool(t.backend("s1", script)))
    worker, = lb.workers()
    before = resident(worker)
    client = t.client(lb)
    client.ask("POST", fields={"Content-Length": size})
    client.sock.settimeout(0.5)
    left, block, held_back = size, bytes(1 << 16), False
    while left:
        try:
            left -= client.sock.send(block[:left])
        except TimeoutError:
            held_back = True
            assert resident(worker) - before < 4 << 20, f"the worker grew by {resident(worker) - before} bytes"
            go_on.open()
            client.sock.settimeout(10)
    assert held_back, "64 MiB vanished somewhere while the backend read nothing"
    assert client.answer().text == str(size)


def leaves(t, how):
    gone = t.gate()

    def script(connection):
        connection.request()
        try:
            connection.take(1)
        except Ended:
            gone.open()
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    client.ask("GET", "/never")
    lb.wait_metric(1, "lb_backend_in_flight")
    how(client)
    gone.wait()
    lb.wait_metric(0, "lb_backend_in_flight")
    lb.wait_metric(1, "lb_exchanges_total", end="client_gone")


def test_a_client_that_resets_takes_the_backend_connection_with_it(t):
    leaves(t, lambda client: client.reset())


def test_a_client_that_closes_takes_the_backend_connection_with_it(t):
    leaves(t, lambda client: client.close())


def test_a_client_that_leaves_in_the_middle_of_its_answer_is_noticed(t):
    def script(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n" + bytes(64 << 20))
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    client.ask("GET")
    client.take(100000)
    client.close()
    lb.wait_metric(1, "lb_exchanges_total", end="client_gone")
    lb.wait_metric(0, "lb_backend_connections")
