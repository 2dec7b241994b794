"""Slow is not silent: an upload that drips is held to min_rate, one that is slow but fast enough is left alone, and time that is
not the client's is never held against it. The rates are chosen so that a busy machine, which is late, changes no outcome."""
import select
import threading

from lbtest import Ended, pool

SHORT = "body_timeout = 1s\n"


def paced(client, pieces, every=0.05):
    """Sends the pieces, `every` seconds between them. Whether lb spoke or left before they were all sent."""
    for number, piece in enumerate(pieces):
        if number > 0 and select.select([client.sock], [], [], every)[0]:
            return True
        try:
            client.sock.sendall(piece)
        except OSError:
            return True
    return False


def sees_a_cut(t, seen):
    """A backend that notes whether the request it got was whole."""
    def script(connection):
        message = connection.head()
        try:
            connection.body_of(message)
        except Ended:
            with t.changed:
                seen.append("cut")
                t.changed.notify_all()
            raise
        connection.received(message)
        connection.answer()
    return script


def drips(t, lb, seen, head, piece):
    client = t.client(lb)
    client.send(head)
    assert paced(client, [piece] * 400), "a drip went on and on"
    answer = client.answer(to="POST")
    assert answer.status == 408, answer
    assert answer.get("Connection") == "close"
    client.close()
    t.wait(lambda: seen == ["cut"], "the backend sees the cut")
    lb.wait_metric(1, "lb_exchanges_total", end="body_timeout")
    assert t.get(lb, "/after").status == 200


def test_a_dripping_upload_gets_408(t):
    seen = []
    s1 = t.backend("s1", sees_a_cut(t, seen))
    lb = t.lb("[listener web]\n" + SHORT + "min_rate = 1k\n" + pool(s1))
    with t.lasts(1.0, 60):
        drips(t, lb, seen, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n", b"x")
    assert [r.target for r in s1.requests] == ["/after"]


def test_a_dripping_upload_that_moves_inside_the_kernel_gets_408_too(t):
    seen = []
    s1 = t.backend("s1", sees_a_cut(t, seen))
    lb = t.lb("[listener web]\n" + SHORT + "min_rate = 1k\n" + pool(s1))
    drips(t, lb, seen, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n", b"x")


def test_the_framing_of_tiny_chunks_is_no_speed(t):
    seen = []
    s1 = t.backend("s1", sees_a_cut(t, seen))
    # 20 bytes of payload a second at most; with a framing of over a hundred bytes each the wire sees 2k and more.
    lb = t.lb("[listener web]\nbody_timeout = 1s\nmin_rate = 200\n" + pool(s1))
    drips(t, lb, seen, "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n",
          b"1;comment=" + b"c" * 100 + b"\r\nx\r\n")


def test_dripping_trailers_get_408(t):
    seen = []
    s1 = t.backend("s1", sees_a_cut(t, seen))
    lb = t.lb("[listener web]\n" + SHORT + "min_rate = 1k\n" + pool(s1))
    drips(t, lb, seen, "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: ", b"x")


def test_an_upload_that_is_slow_but_fast_enough_gets_through(t):
    s1 = t.backend("s1")
    # 2000 bytes each 50 ms are 40k a second, and 200 are asked for.
    lb = t.lb("[listener web]\nbody_timeout = 1s\nmin_rate = 200\n" + pool(s1))
    for framing, piece, end in (("Content-Length: 80000", b"x" * 2000, b""),
                                ("Transfer-Encoding: chunked", b"7d0\r\n" + b"x" * 2000 + b"\r\n", b"0\r\n\r\n")):
        client = t.client(lb)
        with t.lasts(1.9, 60):
            client.send(f"POST / HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n")
            assert not paced(client, [piece] * 40)
            client.send(end)
            assert client.answer(to="POST").status == 200
    assert [len(r.body) for r in s1.requests] == [80000, 80000]


def test_a_small_upload_within_the_first_stretch_is_never_too_slow(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\nbody_timeout = 10s\nmin_rate = 1g\n" + pool(s1))
    client = t.client(lb)
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n")
    assert not paced(client, [b"x"] * 10, every=0.03)
    assert client.answer(to="POST").status == 200


def test_with_min_rate_off_a_drip_goes_on(t):
    s1 = t.backend("s1")
    lb = t.lb("[defaults]\nmin_rate = 1m\n[listener web]\nbody_timeout = 1s\n" + pool(s1) +
              "[route drip]\npath = /drip\npool = app\nmin_rate = off\n")
    client = t.client(lb)
    with t.lasts(1.9, 60):
        client.send("POST /drip HTTP/1.1\r\nHost: test\r\nContent-Length: 40\r\n\r\n")
        assert not paced(client, [b"x"] * 40)
        assert client.answer(to="POST").status == 200
    client.send("POST /other HTTP/1.1\r\nHost: test\r\nContent-Length: 400\r\n\r\n")
    assert paced(client, [b"x"] * 400)
    assert client.answer(to="POST").status == 408


def test_a_route_may_ask_for_more_than_its_listener(t):
    lb = t.lb("[listener web]\nmin_rate = off\n" + SHORT + pool(t.backend("s1")) +
              "[route fast]\npath = /fast\npool = app\nmin_rate = 1m\n")
    client = t.client(lb)
    client.send("POST /fast HTTP/1.1\r\nHost: test\r\nContent-Length: 400\r\n\r\n")
    assert paced(client, [b"x"] * 400)
    assert client.answer(to="POST").status == 408


def slow_backend(t, head, body, size):
    go = t.gate()

    def script(connection):
        message = connection.head()
        go.wait()  # for longer than body_timeout
        connection.body_of(message)
        connection.received(message)
        connection.answer()
    s1 = t.backend(script=script)
    lb = t.lb("[listener web]\nbody_timeout = 1s\nmin_rate = 100k\n" + pool(s1, more="body_timeout = 60s\n"))
    client = t.client(lb)
    client.send(f"POST / HTTP/1.1\r\nHost: test\r\n{head}\r\n\r\n")
    client.sock.settimeout(60)
    sender = threading.Thread(target=client.sock.sendall, args=(body,), daemon=True)
    sender.start()
    assert not select.select([client.sock], [], [], 2.5)[0], "lb spoke while the backend did not read"
    assert sender.is_alive(), "all of it fits between them: lb waits for nobody"
    go.open()
    assert client.answer(to="POST").status == 200
    sender.join(60)
    assert [len(r.body) for r in s1.requests] == [size]


def test_a_slow_backend_is_never_held_against_an_upload(t):
    size = 64 << 20  # more than the kernel keeps for both sockets on its way
    slow_backend(t, f"Content-Length: {size}", bytes(size), size)
    slow_backend(t, "Transfer-Encoding: chunked", b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n", size)


def test_a_client_that_waits_for_100_is_not_late_afterwards(t):
    def script(connection):
        message = connection.head()
        # Much of a stretch goes by before the backend wants the body.
        assert not select.select([connection.sock], [], [], 3.5)[0]
        connection.send("HTTP/1.1 100 Continue\r\n\r\n")
        connection.body_of(message)
        connection.answer(to="POST")
    lb = t.lb("[listener web]\nbody_timeout = 6s\nmin_rate = 1m\n" + pool(t.backend("s1", script)))
    client = t.client(lb)
    client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n")
    assert client.head().status == 100
    assert not paced(client, [b"x"] * 20, every=0.15)
    assert client.answer(to="POST").status == 200
