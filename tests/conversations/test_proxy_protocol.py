"""The PROXY header, in front of a client's connection and in front of a backend's."""
import socket
import struct

from lbtest import pool

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client="192.0.2.1", local="198.51.100.7", ports=(51000, 443), family="TCP4"):
    return f"PROXY {family} {client} {local} {ports[0]} {ports[1]}\r\n".encode()


def v2(client="192.0.2.1", local="198.51.100.7", ports=(51000, 443), command=1, extensions=b""):
    inet6 = ":" in client
    family = socket.AF_INET6 if inet6 else socket.AF_INET
    body = socket.inet_pton(family, client) + socket.inet_pton(family, local) + struct.pack("!HH", *ports) + extensions
    return SIGNATURE + bytes([0x20 | command, 0x21 if inet6 else 0x11]) + struct.pack("!H", len(body)) + body


class Guarded:
    """A balancer whose listener takes the PROXY header from 127.0.0.1, or from whom it is told."""

    def __init__(self, t, trusted="127.0.0.0/8", more="", backend=None):
        self.t = t
        self.s1 = backend or t.backend("s1")
        self.sock = t.socket()
        self.lb = t.lb(f"[log main]\npath = {t.path('access.log')}\nformat = \"$client_addr $client_port $peer_addr\"\n"
                       f"[listener web]\nbind = {self.sock} proxy_protocol\ntrusted = {trusted}\n{more}" + pool(self.s1),
                       sockets=[self.sock])

    def client(self):
        return self.t.client(self.sock)

    def errors(self, count):
        self.lb.wait_metric(count, "lb_proxy_header_errors_total", listener="web")


def test_the_client_is_who_the_header_says(t):
    guarded = Guarded(t)
    for header, address in ((v1(), "192.0.2.1"), (v2(), "192.0.2.1"),
                            (v1("2001:db8::1", "::1", family="TCP6"), "2001:db8::1"), (v2("2001:db8::1", "::1"), "2001:db8::1")):
        client = guarded.client()
        client.send(header + b"GET /1 HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.answer().text == "s1"
        assert client.get("/2").text == "s1", "the header is for the whole connection"
        client.close()
        for request in guarded.s1.requests[-2:]:
            assert request.get("X-Forwarded-For") == address
    t.wait(lambda: t.read("access.log").count("\n") == 8, "eight lines")
    lines = t.read("access.log").splitlines()
    assert lines[0] == "192.0.2.1 51000 127.0.0.1" or lines[0].startswith("192.0.2.1 51000 "), lines
    assert lines[7].startswith("2001:db8::1 51000 "), lines
    guarded.errors(0)


def test_the_header_may_come_in_any_pieces(t):
    guarded = Guarded(t)
    for header in (v1(), v2(extensions=b"\x01\0\x02h2")):
        client = guarded.client()
        for byte in header + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n":
            client.send(bytes([byte]))
        assert client.answer().text == "s1"
        assert guarded.s1.requests[-1].get("X-Forwarded-For") == "192.0.2.1"


def test_local_and_unknown_keep_the_socket_s_own_address(t):
    guarded = Guarded(t)
    for header in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN a b c d\r\n", v2(command=0), SIGNATURE + b"\x20\0\0\0"):
        client = guarded.client()
        client.send(header + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.answer().text == "s1"
        assert guarded.s1.requests[-1].get("X-Forwarded-For") == "127.0.0.1"


def test_a_sender_that_is_not_trusted_is_closed(t):
    guarded = Guarded(t, trusted="192.0.2.0/24")
    client = guarded.client()
    try:
        client.send(v1() + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    except Exception:  # noqa: BLE001 - it may be closed already
        pass
    client.expect_gone()
    guarded.errors(1)
    guarded.lb.wait_log("listener web", "127.0.0.1", "not trusted")
    assert not guarded.s1.requests


def test_without_a_header_nothing_is_served(t):
    guarded = Guarded(t)
    count = 0
    for wrong in (b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", b"PROXY TCP4 192.0.2.1\r\n", v1(ports=(51000, 70000)), v1(family="TCP6"),
                  b"PROXY UNKNOWN\n", SIGNATURE + b"\x31\x11\0\x0c", v2()[:-4] + b"\xff",
                  SIGNATURE + b"\x21\x11\0\x02ab", b"\0" * 20, b"PROXY UNKNOWN " + b"x" * 200):
        client = guarded.client()
        client.send(wrong)
        if wrong == v2()[:-4] + b"\xff":
            client.finish()  # that one only ends too early
        client.expect_gone()
        count += 1
        guarded.errors(count)
    assert not guarded.s1.requests
    assert sum("PROXY header" in line for line in guarded.lb.log) <= count


def test_complaints_are_written_once_a_second_at_most(t):
    guarded = Guarded(t)
    with t.lasts(0, 5):
        for _ in range(30):
            client = guarded.client()
            client.send("nonsense")
            client.expect_gone()
    guarded.errors(30)
    guarded.lb.wait_log("PROXY header")
    assert 1 <= sum("PROXY header" in line for line in guarded.lb.log) <= 6


def test_the_header_must_come_in_time(t):
    guarded = Guarded(t, more="header_timeout = 300ms\n")
    silent, slow = guarded.client(), guarded.client()
    slow.send(v1()[:10])
    with t.lasts(0.1, 5):
        silent.expect_gone()
        slow.expect_gone()
    guarded.errors(2)


def test_who_only_looks_is_no_error(t):
    guarded = Guarded(t)
    guarded.client().close()
    client = guarded.client()
    client.send(v1() + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.answer().text == "s1"
    guarded.errors(0)


def test_two_headers_are_one_too_many(t):
    guarded = Guarded(t)
    client = guarded.client()
    client.send(v1() + v1("192.0.2.99") + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.answer().status == 400
    client.expect_gone()


def test_other_listeners_take_no_header(t):
    lb = t.lb("[listener web]\ntrusted = 127.0.0.0/8\n" + pool(t.backend("s1")))
    client = t.client(lb)
    client.send(v1() + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.answer().status == 400


def test_the_local_end_of_a_unix_socket_is_trusted(t):
    s1 = t.backend("s1")
    path = t.path("web.sock")
    t.lb(f"[listener web]\nbind = unix:{path} proxy_protocol\ntrusted = 192.0.2.0/24\n" + pool(s1))
    client = t.client(path)
    client.send(v2("203.0.113.9") + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.answer().text == "s1"
    assert s1.requests[0].get("X-Forwarded-For") == "203.0.113.9"


# -- towards backends


def reads_header(kept):
    """A backend that keeps the PROXY header of each connection, then answers its name."""
    def script(connection):
        first = connection.take(6)
        if first == b"PROXY ":
            kept.append(first + connection.take_through(b"\r\n"))
        else:
            head = first + connection.take(10)
            kept.append(head + connection.take(struct.unpack("!H", head[14:])[0]))
        while True:
            request = connection.request()
            connection.answer(200, to=request.method)
    return script


def test_a_backend_is_told_in_version_1(t):
    kept = []
    s1 = t.backend("s1", reads_header(kept))
    lb = t.lb(pool(s1, more="send_proxy = v1\n"))
    client = t.client(lb)
    for _ in range(2):
        assert client.get("/").text == "s1"
    port = client.sock.getsockname()[1]
    assert kept == [f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} {lb.listener.port}\r\n".encode()] * 2
    assert s1.connections == 2, "a connection with a header is for one client"
    lb.wait_metric(0, "lb_backend_idle_connections")


def test_a_backend_is_told_in_version_2(t):
    kept = []
    lb = t.lb(pool(t.backend("s1", reads_header(kept)), more="send_proxy = v2\n"))
    client = t.client(lb)
    assert client.post("/", b"body" * 50000).text == "s1"
    assert kept == [v2("127.0.0.1", "127.0.0.1", (client.sock.getsockname()[1], lb.listener.port))]


def test_what_came_in_goes_out(t):
    kept = []
    s1 = t.backend("s1", reads_header(kept))
    sock = t.socket()
    t.lb(f"[listener web]\nbind = {sock} proxy_protocol\ntrusted = 127.0.0.1\n" + pool(s1, more="send_proxy = v2\n"), sockets=[sock])
    client = t.client(sock)
    client.send(v1("2001:db8::1", "2001:db8::2", (1, 2), "TCP6") + b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.answer().text == "s1"
    assert kept == [v2("2001:db8::1", "2001:db8::2", (1, 2))]


def test_a_retry_sends_the_header_again(t):
    kept = []
    s1 = t.backend("s1", reads_header(kept))
    closes = t.backend("s2", lambda connection: connection.take(6))
    lb = t.lb(pool(closes, s1, more="send_proxy = v1\nretries = 2\n"))
    client = t.client(lb)
    for _ in range(2):
        assert client.get("/").text == "s1"
    assert len(kept) == 2 and all(line.startswith(b"PROXY TCP4 127.0.0.1 ") for line in kept)


def test_checks_say_that_they_are_local(t):
    kept = []
    s1 = t.backend("s1", reads_header(kept))
    t.lb(pool(s1, more="send_proxy = v2\ncheck = http GET /healthz interval=1s timeout=500ms rise=1 fall=1\n"))
    t.wait(lambda: s1.checks, "a check came through")
    assert kept[0] == SIGNATURE + b"\x20\0\0\0"


def test_a_tunnel_begins_behind_its_header(t):
    def script(connection):
        connection.take_through(b"\r\n")
        connection.received(connection.head())
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n")
        connection.send(connection.take(5).upper())
    lb = t.lb(pool(t.backend("s1", script), more="send_proxy = v1\n"))
    client = t.client(lb)
    client.ask("GET", "/", {"Connection": "Upgrade", "Upgrade": "test"})
    assert client.head().status == 101
    client.send("hello")
    assert client.take_rest() == b"HELLO"
