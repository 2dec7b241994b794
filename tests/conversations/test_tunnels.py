"""101 and after: bytes both ways, each side's end an end for the other, and how long a tunnel may rest."""
import asyncio
import hashlib
import threading

import websockets

from lbtest import Ended, Reset, Silent, pool

ASK = ("GET /chat HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {0}\r\n"
       "Sec-WebSocket-Key: x\r\nX-Kept: 1\r\n\r\n")
SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {0}\r\nSec-WebSocket-Accept: y\r\n\r\n"


def switches(protocol="test"):
    """A backend that accepts the upgrade and returns what it is sent, in capitals, until the other side ends."""
    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format(protocol))
        try:
            while True:
                if not connection.buffer:
                    connection._more()
                connection.send(connection.take(len(connection.buffer)).upper())
        except Reset:
            raise
        except Ended:
            connection.send("BYE")
    return script


def nothing_for(seconds, wire):
    """The other side says nothing for so long, and does not end either."""
    patience = wire.sock.gettimeout()
    wire.sock.settimeout(seconds)
    try:
        wire._more()
    except Silent:
        return
    finally:
        wire.sock.settimeout(patience)
    raise AssertionError(f"{wire.who}: something came")


def opened(t, lb, protocol="test", early=""):
    client = t.client(lb)
    client.send(ASK.format(protocol) + early)
    head = client.head()
    assert head.status == 101, head
    return client, head


def test_a_tunnel_carries_bytes_both_ways(t):
    s1 = t.backend("s1", switches())
    lb = t.lb(pool(s1))
    client, head = opened(t, lb)
    assert head.get("Upgrade") == "test" and head.get("Connection").lower() == "upgrade"
    assert head.get("Sec-WebSocket-Accept") == "y"
    assert not head.all("Content-Length") and not head.all("Transfer-Encoding")
    seen, = s1.requests
    assert seen.get("Upgrade") == "test" and seen.get("Connection").lower() == "upgrade"
    assert seen.get("X-Kept") == "1" and seen.get("Sec-WebSocket-Key") == "x"
    for word in ("hello", "0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"):
        client.send(word)
        assert client.take(len(word)) == word.upper().encode()
    assert lb.metric("lb_tunnels", listener="web") == 1
    client.finish()
    assert client.take_rest() == b"BYE"
    lb.wait_metric(0, "lb_tunnels", listener="web")
    lb.wait_metric(0, "lb_backend_connections")
    lb.wait_metric(1, "lb_exchanges_total", end="done")
    lb.wait_metric(1, "lb_listener_requests_total", class_="1xx")


def test_what_a_route_edits_holds_for_the_101_too(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\nServer: secret\r\n\r\n")
        connection.take_rest()
    lb = t.lb(f"[log main]\npath = {t.path('log')}\nformat = \"$status $response_server $end\"\n" + pool(t.backend("s1", script)) +
              "[listener web]\nvia = on\n[route all]\npool = app\nremove_response_header = Server\nset_response_header = X-Set yes\n")
    client = t.client(lb)
    client.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n")
    head = client.head()
    assert (head.get("X-Set"), head.get("Upgrade"), head.get("Via")) == ("yes", "test", "1.1 lb"), head
    assert "server" not in head.names()
    client.finish()
    client.expect_end()
    t.wait(lambda: t.read("log") == "101 secret done\n", "the line of the tunnel")


def test_what_a_client_sends_ahead_belongs_to_the_tunnel(t):
    lb = t.lb(pool(t.backend("s1", switches())))
    client, _ = opened(t, lb, early="early bird")
    assert client.take(10) == b"EARLY BIRD"
    client.send("late")
    assert client.take(4) == b"LATE"


def test_what_a_backend_sends_with_its_101_belongs_to_the_tunnel(t):
    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test") + "welcome")
        connection.take(3)
        connection.send("bye")
    client, _ = opened(t, t.lb(pool(t.backend("s1", script))))
    assert client.take(7) == b"welcome"
    client.send("end")
    assert client.take_rest() == b"bye"


def test_an_upgrade_that_is_refused_is_an_ordinary_answer(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    # What was sent ahead is the next request then.
    client.send(ASK.format("test") + "GET /next HTTP/1.1\r\nHost: test\r\n\r\n")
    assert [client.answer().text, client.answer().text] == ["s1", "s1"]
    assert [request.target for request in s1.requests] == ["/chat", "/next"]
    assert s1.connections == 1


def test_h2c_is_never_asked_for(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    assert client.get("/", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"}).text == "s1"
    assert client.get("/", {"Connection": "Upgrade", "Upgrade": "h2c, test"}).text == "s1"
    assert client.get("/", {"Connection": "Upgrade", "Upgrade": "TLS/1.2"}).text == "s1"
    assert [request.get("Upgrade") for request in s1.requests] == [None, "test", None]
    assert [request.get("HTTP2-Settings") for request in s1.requests] == [None, None, None]


def test_a_101_that_nobody_asked_for_is_no_answer(t):
    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test") + "smuggled")
        connection.take(1)
    lb = t.lb(pool(t.backend("s1", script), more="retries = 0\n"))
    assert t.get(lb, "/").status == 502
    assert t.get(lb, "/", {"Upgrade": "test"}).status == 502, "Connection does not name it"
    client = t.client(lb)
    client.send(ASK.format("other"))
    assert client.answer().status == 502, "not the protocol that was asked for"
    lb.wait_metric(3, "lb_exchanges_total", end="bad_response")


def test_a_body_excludes_an_upgrade(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    assert client.post("/", b"body", {"Connection": "Upgrade", "Upgrade": "test"}).text == "s1"
    assert s1.requests[0].get("Upgrade") is None


def test_a_client_that_closes_ends_the_backends_side(t):
    ended = t.gate()

    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test"))
        try:
            connection.take(1)
        except Ended:
            ended.open()
    lb = t.lb(pool(t.backend("s1", script)))
    client, _ = opened(t, lb)
    client.close()
    ended.wait()
    lb.wait_metric(0, "lb_tunnels", listener="web")


def test_a_client_that_resets_ends_the_backends_side(t):
    ended = t.gate()

    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test"))
        try:
            connection.take(1)
        except Ended:
            ended.open()
    lb = t.lb(pool(t.backend("s1", script)))
    client, _ = opened(t, lb)
    client.reset()
    ended.wait()
    lb.wait_metric(1, "lb_exchanges_total", end="client_gone")
    lb.wait_metric(0, "lb_tunnels", listener="web")


def test_a_backend_that_ends_first_hears_the_client_out(t):
    heard = []

    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test") + "all I had")
        connection.finish()
        heard.append(connection.take_rest())
    lb = t.lb(pool(t.backend("s1", script)))
    client, _ = opened(t, lb)
    assert client.take_rest() == b"all I had"
    client.send("and another thing")
    client.finish()
    t.wait(lambda: heard == [b"and another thing"], "the backend hears the rest")
    lb.wait_metric(1, "lb_exchanges_total", end="done")


def test_a_backend_that_breaks_off_takes_the_client_with_it(t):
    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test") + "half")
        connection.take(4)
        connection.reset()
    lb = t.lb(pool(t.backend("s1", script)))
    client, _ = opened(t, lb)
    client.take(4)
    client.send("over")
    client.expect_gone()
    lb.wait_metric(1, "lb_exchanges_total", end="backend_cut")
    lb.wait_metric(0, "lb_tunnels", listener="web")


def test_a_tunnel_at_rest_ends_after_its_time(t):
    lb = t.lb("[listener web]\ntunnel_timeout = 500ms\nbody_timeout = 30s\n" + pool(t.backend("s1", switches())))
    client, _ = opened(t, lb)
    for _ in range(4):  # bytes keep it: together they take longer than the time
        with t.lasts(0, 5):
            client.send("x")
            assert client.take(1) == b"X"
        nothing_for(0.2, client)
    with t.lasts(0.3, 5):
        client.expect_gone()
    lb.wait_metric(1, "lb_exchanges_total", end="tunnel_timeout")
    lb.wait_metric(0, "lb_tunnels", listener="web")


def test_bytes_of_one_side_alone_keep_a_tunnel(t):
    rounds = 5

    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test"))
        for _ in range(rounds):
            nothing_for(0.3, connection)
            connection.send("tick")
    lb = t.lb("[listener web]\ntunnel_timeout = 700ms\n" + pool(t.backend("s1", script)))
    client, _ = opened(t, lb)
    assert client.take_rest() == b"tick" * rounds


def test_no_other_time_ends_a_tunnel(t):
    lb = t.lb("[defaults]\nidle_timeout = 300ms\nbody_timeout = 300ms\nresponse_timeout = 300ms\nrequest_timeout = 400ms\n"
              "header_timeout = 300ms\nkeepalive_requests = 1\n" + pool(t.backend("s1", switches())))
    client, _ = opened(t, lb)
    nothing_for(1.2, client)
    client.send("still")
    assert client.take(5) == b"STILL"


def test_a_route_has_its_own_tunnel_timeout(t):
    lb = t.lb("[listener web]\ntunnel_timeout = 1h\n[route chat]\npath = /chat\npool = app\ntunnel_timeout = 300ms\n"
              + pool(t.backend("s1", switches())))
    client, _ = opened(t, lb)
    with t.lasts(0.1, 5):
        client.expect_gone()
    lb.wait_metric(1, "lb_exchanges_total", end="tunnel_timeout")


def test_much_passes_unharmed_in_both_directions_at_once(t):
    size = 32 << 20
    block = hashlib.sha256(b"tunnel").digest() * 4096
    wanted = hashlib.sha256(block * (size // len(block))).digest()
    sums = []

    def pump(wire, into):
        sender = threading.Thread(target=lambda: [wire.sock.sendall(block) for _ in range(size // len(block))], daemon=True)
        sender.start()
        digest, left = hashlib.sha256(), size
        digest.update(wire.buffer)
        left -= len(wire.buffer)
        wire.buffer.clear()
        while left:
            data = wire.sock.recv(262144)
            assert data, f"the end came {left} bytes early"
            digest.update(data)
            left -= len(data)
        into.append(digest.digest())
        sender.join(20)

    def script(connection):
        connection.received(connection.head())
        connection.send(SWITCH.format("test"))
        pump(connection, sums)
    lb = t.lb(pool(t.backend("s1", script)))
    client, _ = opened(t, lb)
    pump(client, sums)
    t.wait(lambda: len(sums) == 2, "both sides have all of it", within=30)
    assert sums == [wanted, wanted]
    client.finish()
    client.expect_end()
    lb.wait_metric(1, "lb_exchanges_total", end="done")


def test_a_tunnel_survives_a_reload(t):
    text = pool(t.backend("s1", switches()))
    lb = t.lb(text)
    client, _ = opened(t, lb)
    first = lb.workers()
    lb.reload(text)
    t.wait(lambda: len(lb.workers()) == 2 and first[0] in lb.workers(), "old and new worker")
    client.send("still")
    assert client.take(5) == b"STILL"
    other, _ = opened(t, lb)
    other.send("new")
    assert other.take(3) == b"NEW"
    client.finish()
    assert client.take_rest() == b"BYE"
    t.wait(lambda: first[0] not in lb.workers(), "the old worker ends with its last tunnel")


def test_drain_timeout_ends_a_tunnel(t):
    text = "[global]\ndrain_timeout = 500ms\n" + pool(t.backend("s1", switches()))
    lb = t.lb(text)
    client, _ = opened(t, lb)
    lb.reload(text)
    client.expect_gone()
    t.wait(lambda: lb.metric("lb_tunnels", listener="web") == 0, "no tunnel is left")


def test_a_websocket_client_and_server_do_not_notice(t):
    """The real library on both sides, through lb."""
    listening = t.socket()

    async def echo(socket, *_):
        async for message in socket:
            await socket.send(message)

    async def conversation(lb):
        async with websockets.serve(echo, sock=listening.sock, max_size=None, ping_interval=None):
            lb = await asyncio.get_running_loop().run_in_executor(None, lb)
            uri = f"ws://127.0.0.1:{lb.listener.port}/chat?x=1"
            async with websockets.connect(uri, max_size=None) as socket:
                for message in ("hello", "", "\u00fc\u20ac", b"\0\xff" * 10, "x" * 1_000_000, bytes(3_000_000)):
                    await socket.send(message)
                    assert await socket.recv() == message
                await (await socket.ping())
                many = [f"message {number}" for number in range(500)]
                for message in many:
                    await socket.send(message)
                assert [await socket.recv() for _ in many] == many
                await socket.close(1000, "done")
                assert socket.close_code == 1000
            return lb
    lb = asyncio.run(conversation(lambda: t.lb(pool(f"127.0.0.1:{listening.port}"))))
    lb.wait_metric(1, "lb_exchanges_total", end="done")
    lb.wait_metric(0, "lb_tunnels", listener="web")
