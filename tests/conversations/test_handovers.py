"""Where one thing ends and the next begins at the same moment: connections lent again, uploads cut short, clients that
stop reading just as they finish sending."""
import ctypes
import socket
import sys
import threading

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

    lb = t.lb("[listener web]\nbody_timeout = 3s\n" + pool(t.backend("s1", script)))
    client = t.client(lb, receive_buffer=4096)
    client.send("POST /1 HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nabc")
    lb.wait_metric(1, "lb_backend_requests_total", **{"class": "2xx"})
    client.send("def")
    lb.wait_metric(1, "lb_exchanges_total", end="client_stalled", within=20)
    lb.wait_metric(0, "lb_client_connections")


def test_others_are_served_beside_a_client_that_asks_without_end(t):
    lb = t.lb("[global]\nworkers = 1\n[defaults]\nkeepalive_requests = off\n[route all]\npath = /\nrespond = 410\n" + pool(t.backend("s1")))
    worker = lb.workers()
    greedy = socket.create_connection(lb.address)
    over = threading.Event()

    def ask():
        try:
            while not over.is_set():
                greedy.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 500)
        except OSError:
            pass

    def listen():
        try:
            while greedy.recv(1 << 20):
                pass
        except OSError:
            pass
    threads = [threading.Thread(target=each) for each in (ask, listen)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            assert t.get(lb).status == 410
    finally:
        over.set()
        greedy.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        greedy.close()
    assert lb.workers() == worker


def test_an_answer_without_a_length_that_was_reset_never_looks_whole(t):
    """The backend's reset throws away what it had not sent; what lb still has to send uses the error up, and an end follows."""
    gone = t.gate()

    def script(connection):
        connection.take_through(b"\r\n\r\n")
        connection.send("HTTP/1.1 200 OK\r\n\r\n")
        connection.sock.settimeout(1)
        try:
            while True:
                connection.sock.sendall(b"x" * 65536)
        except TimeoutError:
            connection.sock.close()  # with an upload that was not read
            gone.open()
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb, receive_buffer=4096)
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n" + "u" * 10000)
    gone.wait()
    got = b""
    try:
        for _ in range(20):
            client.sock.sendall(b"u" * 300)
            lb.metric("lb_backend_in_flight")  # time for lb to take it
        while more := client.sock.recv(65536):
            got = got[-20:] + more
    except ConnectionResetError:
        return
    assert not got.endswith(b"0\r\n\r\n"), got[-20:]


def test_a_client_with_the_longest_of_names_harms_nobody(t):
    def script(connection):
        connection.take(16 + 216)  # the PROXY header: two paths
        connection.request()
        connection.answer()
    path, mine = t.path("web"), t.path("x")
    lb = t.lb(f"[listener local]\nbind = unix:{path}\npool = app\n" + pool(t.backend("s1", script), more="send_proxy = v2\n"))
    worker = lb.workers()
    client = socket.socket(socket.AF_UNIX)
    # As many bytes as there is room for, without a NUL: Python itself would refuse that.
    name = (mine + "y" * (108 - len(mine))).encode()
    address = ctypes.create_string_buffer(socket.AF_UNIX.to_bytes(2, sys.byteorder) + name, 110)
    assert ctypes.CDLL(None, use_errno=True).bind(client.fileno(), address, 110) == 0
    client.connect(path)
    client.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert client.recv(1 << 16).startswith(b"HTTP/1.1 ")
    client.close()
    assert lb.workers() == worker
