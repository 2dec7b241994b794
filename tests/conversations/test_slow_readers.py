"""Readers who are slow: who takes an answer drop by drop is held to min_rate, by what the kernel saw acknowledged; who is slow but
fast enough is left alone. The rates are chosen so that a busy machine, which is late, changes no outcome."""
import select
import threading

from lbtest import Ended, pool

SHORT = "body_timeout = 1s\n"


def after_a_request(answer):
    def script(connection):
        connection.request()
        answer(connection)
    return script


def large(size):
    def script(connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    return script


def large_chunks(size):
    def script(connection):
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(size >> 16):
            connection.send(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        connection.send(b"0\r\n\r\n")
    return script


def reads_slowly(client, step, every, until):
    """Takes `step` bytes each `every` seconds until until(taken); the bytes taken."""
    pause = threading.Event()
    taken = 0
    while not until(taken):
        data = client.sock.recv(step)
        if not data:
            raise Ended("the end")
        taken += len(data)
        pause.wait(every)
    return taken


def takes_it_all(client, size, step, every, slowly):
    """Reads an answer, the first `slowly` bytes of its body slowly, the rest as fast as it comes."""
    client.head()
    taken = len(client.buffer) + reads_slowly(client, step, every, lambda n: n >= slowly)
    while taken < size:
        data = client.sock.recv(1 << 20)
        assert data, f"cut after {taken} bytes"
        taken += len(data)


def test_a_dripping_reader_is_cut_and_others_are_served(t):
    def script(connection):
        while True:
            if connection.request().target == "/small":
                connection.answer()
            else:
                answers[0](connection)
    answers = [large(64 << 20), large_chunks(64 << 20)]
    # 1k each 50 ms are 20k a second at most.
    lb = t.lb("[listener web]\nbody_timeout = 500ms\nmin_rate = 200k\n" +
              pool(t.backend("s1", script), more="body_timeout = 60s\n"))
    other = t.client(lb)
    for cuts in (1, 2):
        slow = t.client(lb, receive_buffer=4096)
        slow.ask("GET")

        def stalled(_taken, cuts=cuts):
            assert other.get("/small").text == "s1"
            return lb.metric("lb_exchanges_total", end="client_stalled") == cuts
        try:
            reads_slowly(slow, 1024, 0.05, stalled)
        except (Ended, OSError):
            pass  # it read what was there, and then saw the cut
        lb.wait_metric(cuts, "lb_exchanges_total", end="client_stalled")
        answers.pop(0)


def test_a_reader_that_is_slow_but_fast_enough_gets_it_all(t):
    # The kernel's send buffer holds megabytes here, so that the socket is not writable for much longer than body_timeout;
    # 4k each 20 ms are up to 200k a second, and 4k are asked for.
    for rate in ("4k", "off"):
        lb = t.lb(f"[listener web]\nbody_timeout = 1s\nmin_rate = {rate}\n" +
                  pool(t.backend(script=after_a_request(large(64 << 20))), more="body_timeout = 60s\n"))
        client = t.client(lb, receive_buffer=16384)
        client.ask("GET")
        with t.lasts(3.0, 300):
            takes_it_all(client, 64 << 20, 4096, 0.02, 640 << 10)
        lb.wait_metric(1, "lb_exchanges_total", end="done")


def test_a_reader_that_stops_is_cut_with_min_rate_off_too(t):
    lb = t.lb("[listener web]\n" + SHORT + "min_rate = off\n" + pool(t.backend("s1", after_a_request(large(64 << 20))),
                                                                     more="body_timeout = 60s\n"))
    client = t.client(lb, receive_buffer=4096)
    client.ask("GET")
    lb.wait_metric(1, "lb_exchanges_total", within=20.0, end="client_stalled")


def test_what_a_stopped_reader_left_in_the_kernel_goes_with_its_connection(t):
    # Closed without a reset, the kernel would hold it, and offer it to the client, for minutes.
    lb = t.lb("[listener web]\n" + SHORT + pool(t.backend("s1", after_a_request(large(64 << 20))),
                                                more="body_timeout = 60s\n"))
    client = t.client(lb, receive_buffer=4096)
    client.ask("GET")
    lb.wait_metric(1, "lb_exchanges_total", within=20.0, end="client_stalled")
    lb.wait_metric(0, "lb_client_connections")
    taken = 0
    try:
        while got := client.sock.recv(65536):
            taken += len(got)
        raise AssertionError("an end after %d bytes, where a reset belongs" % taken)
    except ConnectionResetError:
        pass


def test_a_reader_on_a_unix_socket_is_held_to_the_same(t):
    path = t.path("web.sock")
    # What it has taken is told in pieces of up to 64k there; 4k each 60 ms are up to 70k a second.
    lb = t.lb(f"[listener web]\nbind = unix:{path}\nbody_timeout = 2s\nmin_rate = 4k\n" +
              pool(t.backend("s1", after_a_request(large(32 << 20))), more="body_timeout = 60s\n"))
    good = t.client(path)
    good.ask("GET")
    with t.lasts(5.0, 300):
        takes_it_all(good, 32 << 20, 4096, 0.06, 384 << 10)
    lb.wait_metric(1, "lb_exchanges_total", end="done")
    bad = t.client(path)
    bad.ask("GET")
    bad.head()
    lb.wait_metric(1, "lb_exchanges_total", within=20.0, end="client_stalled")


def test_rare_events_of_a_backend_are_not_held_against_the_client(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2):
            assert not select.select([connection.sock], [], [], 1.5)[0], "lb closed on the backend"
            connection.send("8\r\ndata: x\n\r\n")
        connection.send("0\r\n\r\n")
    lb = t.lb("[listener web]\n" + SHORT + "min_rate = 1m\n" + pool(t.backend("s1", script), more="body_timeout = 60s\n"))
    with t.lasts(2.0, 60):
        assert t.get(lb).text == "data: x\n" * 2


def test_a_tunnel_knows_no_rate(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        while True:
            connection.send(connection.take(1))
    lb = t.lb("[listener web]\n" + SHORT + "min_rate = 1m\n" + pool(t.backend("s1", script)))
    client = t.client(lb)
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert client.head().status == 101
    for _ in range(5):
        assert not select.select([client.sock], [], [], 0.4)[0]
        client.send("x")
        assert client.take(1) == b"x"
