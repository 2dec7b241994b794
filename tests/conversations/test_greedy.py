"""Clients that take more than their share: floods, bombs, trickles, and those that never read. Whatever they do is bounded
and counted, and a good client is served meanwhile.

Never: asserts on how long something takes; what is compared are answers, counters, bytes and memory.
"""
import os
import select
import socket
import struct
import threading
import time
import zlib

from lbtest import pool
from lbtest.balancer import descriptors
from lbtest.wire import Wire

MIB = 1 << 20


def lean(t, text, **more):
    """A balancer whose memory is counted. Under the address sanitizer what it frees is otherwise kept, to be recognised."""
    options = "quarantine_size_mb=0:thread_local_quarantine_size_kb=0:allocator_release_to_os_interval_ms=0:malloc_context_size=0"
    known = os.environ.get("ASAN_OPTIONS")
    return t.lb(text, environment={"ASAN_OPTIONS": f"{known}:{options}" if known else options}, **more)


SHADOW = range(0x7fff7000, 0x10007fff8000)  # where the address sanitizer keeps its books of amd64's memory; nothing else is there


def resident(pid):
    """Bytes of memory that are the process's own: not what it shares, such as the table and the binary."""
    found, counts = 0, True
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            word, number, *_ = line.split()
            if word in ("Private_Dirty:", "Private_Clean:"):
                found += int(number) * 1024 * counts
            elif not word.endswith(":"):
                counts = int(word.partition("-")[0], 16) not in SHADOW
    return found


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def route(name, *lines):
    return f"[route {name}]\n" + "".join(f"{line}\n" for line in lines)


def served(t, lb, target="/good"):
    """Somebody who asks for one thing and reads it."""
    answer = t.get(lb, target)
    assert answer.status == 200, answer
    return True


def connect(t, lb, source=None, receive=None, send=None):
    """A plain socket, for those who come in thousands and need no transcript of each byte."""
    sock = socket.socket()
    t.closes(sock)
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    if send:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send)
    if source:
        sock.bind((source, 0))
    sock.settimeout(10)
    sock.connect(lb.address)
    return sock


def flood(sock, request, at_most=64 * MIB):
    """Sends whole requests for as long as the other side takes them; how many it took, and the part of one that is left."""
    block = request * (65536 // len(request) + 1)
    sock.setblocking(False)
    taken = 0
    while taken < at_most:
        if not select.select([], [sock], [], 0.5)[1]:
            count, over = divmod(taken, len(request))
            sock.settimeout(10)
            return count + (over > 0), request[over:] if over else b""
        taken += sock.send(block[taken % len(request):])
    raise AssertionError(f"{taken} bytes of requests were taken of somebody who reads no answer")


def read_all(sock, until=None):
    """Everything until the end, or until `until` answers of a status line are there; how many there were."""
    count, tail = 0, b""
    while until is None or count < until:
        data = sock.recv(1 << 18)
        if not data:
            break
        text = tail + data
        count += text.count(b"HTTP/1.1 ")
        tail = text[-8:]
    return count


# -- pipelining


def test_pipelined_requests_are_not_answered_into_memory(t):
    page = t.write("page.html", "x" * 8192)
    s1 = t.backend("s1")
    lb = lean(t, "[defaults]\nkeepalive_requests = off\n" + pool(s1) +
              route("own", "path = /own", f"respond = 404 file={page}") +
              route("to", "path = /to", "redirect = 302 https://host.example/" + "y" * 900))
    worker, = lb.workers()
    served(t, lb)
    for target, smallest, read in (("/own", 8192, 1 << 30), ("/to", 900, 1000)):
        before = resident(worker)
        sock = connect(t, lb, receive=16384, send=65536)
        count, rest = flood(sock, f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        grown = resident(worker) - before
        assert count * smallest > 6 * MIB, f"only {count} requests were taken: this says nothing"
        assert grown < 4 * MIB, f"{count} requests made the worker grow by {grown} bytes"
        served(t, lb)
        # None is lost: what it did not take up at once it answers as its answers are read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        reader = []
        thread = threading.Thread(target=lambda s=sock, n=min(read, count): reader.append(read_all(s, n)), daemon=True)
        thread.start()
        if rest and count <= read:
            sock.sendall(rest)
        thread.join(100)
        assert reader == [count] or count > read <= reader[0], f"{count} requests, {reader} answers"
        sock.close()
    lb.wait_metric(0, "lb_client_connections")


def test_pipelined_requests_are_not_forwarded_ahead_of_their_reader(t):
    body = b"b" * 65536

    def script(connection):
        while True:
            connection.answer(200, body, to=connection.request().method)
    s1 = t.backend("s1", script)
    lb = lean(t, "[defaults]\nkeepalive_requests = off\n" + pool(s1))
    worker, = lb.workers()
    served(t, lb)
    before = resident(worker)
    sock = connect(t, lb, receive=16384, send=16384)
    count, rest = flood(sock, b"GET /flood HTTP/1.1\r\nHost: t\r\nX-Padding: " + b"p" * 400 + b"\r\n\r\n")
    grown = resident(worker) - before
    assert grown < 4 * MIB, f"{count} requests made the worker grow by {grown} bytes"
    assert sum(r.target == "/flood" for r in s1.requests) < count / 2, "it asked the backend for what nobody takes"
    served(t, lb)
    del rest
    sock.close()
    lb.wait_metric(0, "lb_backend_in_flight")
    lb.wait_metric(0, "lb_client_connections")
    served(t, lb)


def test_keepalive_requests_ends_a_flood(t):
    lb = t.lb("[defaults]\nkeepalive_requests = 100\n" + pool(t.backend("s1")) + route("own", "path = /own", "respond = 410"))
    for target in ("/own", "/forwarded"):
        sock = connect(t, lb)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode() * 5000)
        assert read_all(sock) == 100, "in order, to the end, without a reset"
        sock.close()
    lb.wait_metric(200, "lb_exchanges_total", end="done")


# -- bombs


def bombs():
    """What is sent, the status of the answer, and how it is counted."""
    head = b"GET / HTTP/1.1\r\nHost: t\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    big = 100_000
    return {
        "many fields": (head + b"a: b\r\n" * 20000, 431, "header_too_large"),
        "one huge field": (head + b"A: " + b"a" * big, 431, "header_too_large"),
        "one huge name": (head + b"a" * big, 431, "header_too_large"),
        "a huge target": (b"GET /" + b"a" * big, 414, "header_too_large"),
        "a huge host": (b"GET http://" + b"a" * big, 414, "header_too_large"),
        "an endless method": (b"A" * big, 400, "bad_request"),
        "endless empty lines": (b"\r\n" * big, 400, "bad_request"),
        "endless blanks behind the method": (b"GET" + b" " * big, 400, "bad_request"),
        "an endless chunk extension": (chunked + b"1;" + b"e" * big, 400, "bad_request"),
        "extensions without end": (chunked + b"1;eeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n" * (big // 20), 400, "bad_request"),
        "an endless chunk size": (chunked + b"0" * big, 400, "bad_request"),
        "one huge trailer": (chunked + b"0\r\nT: " + b"t" * big, 400, "bad_request"),
        "endless trailers": (chunked + b"0\r\n" + b"t: u\r\n" * (big // 6), 400, "bad_request"),
    }


def test_bombs_get_their_answer_and_a_close(t):
    lb = lean(t, pool(t.backend("s1")))
    worker, = lb.workers()
    served(t, lb)
    open_before = len(descriptors(worker))
    wanted = {}
    before = resident(worker)
    for name, (sent, status, end) in bombs().items():
        clients = [t.client(lb, name) for _ in range(10)]
        for client in clients:
            client.send(sent)
        served(t, lb)
        for client in clients:
            answer = client.answer(to="GET")
            assert answer.status == status and answer.get("Connection") == "close", f"{name}: {answer}"
            client.expect_end()
            client.close()
        wanted[end] = wanted.get(end, 0) + len(clients)
        for each, count in wanted.items():
            lb.wait_metric(count, "lb_exchanges_total", end=each)
    lb.wait_metric(0, "lb_client_connections")
    lb.wait_metric(0, "lb_backend_in_flight")
    t.wait(lambda: len(descriptors(worker)) <= open_before + 4, "the descriptors are closed")
    assert resident(worker) - before < 4 * MIB


def test_a_bomb_in_single_bytes_is_one_too(t):
    lb = t.lb("[defaults]\nmax_header = 1k\n" + pool(t.backend("s1")))
    for begin, status in ((b"GET /", 414), (b"GET / HTTP/1.1\r\nHost: t\r\nA: ", 431)):
        sock = connect(t, lb)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(begin + b"a" * (980 - len(begin)))
        for _ in range(60):  # each is read alone: lb answers somebody else in between
            sock.sendall(b"a")
            served(t, lb)
        client = Wire(t, sock, "single bytes")
        assert client.head().status == status
        served(t, lb)
        client.expect_gone()
    lb.wait_metric(2, "lb_exchanges_total", end="header_too_large")


def test_the_memory_of_many_half_heads_comes_back(t):
    lb = lean(t, "[defaults]\nmax_header = 64k\n" + pool(t.backend("s1")))
    worker, = lb.workers()
    served(t, lb)
    before = resident(worker)
    held = []
    for _ in range(400):  # with 1024 descriptors a worker takes no more than 447
        sock = connect(t, lb)
        sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nA: " + b"a" * 60000)
        held.append(sock)
    t.wait(lambda: resident(worker) - before > 400 * 56000, "lb has read the heads")
    most = resident(worker) - before
    # Heads that come in pieces outgrow their buffers, and not every allocator finds a use for the smaller ones at once.
    assert most < 400 * 2 * 72 * 1024, f"{most} bytes for 400 heads of 60 KB"
    served(t, lb)
    for sock in held:
        sock.close()
    lb.wait_metric(0, "lb_client_connections")
    # Some buffers are kept for the next ones.
    t.wait(lambda: resident(worker) - before < 12 * MIB, "the memory is given back")


# -- trickles and tiny pieces


def test_tiny_chunks_are_put_together(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1))
    worker, = lb.workers()
    served(t, lb)
    tiny, whole = b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n", b"927c0\r\n" + b"x" * 600_000 + b"\r\n0\r\n\r\n"
    ticks = {}
    for name, sent, size in (("tiny", tiny, 100_000), ("whole", whole, 600_000)):
        begin = cpu_ticks(worker)
        for _ in range(5):
            client = t.client(lb, name)
            client.ask("POST", f"/{name}", {"Transfer-Encoding": "chunked"})
            client.send(sent)
            served(t, lb)
            assert client.answer().status == 200
            client.close()
        ticks[name] = cpu_ticks(worker) - begin
        for seen in (r for r in s1.requests if r.target == f"/{name}"):
            assert seen.body == b"x" * size
            # One for each read at most. Of single ones there would be 100 000.
            assert len(seen.chunks) < 5000, f"{len(seen.chunks)} chunks"
            t.note("backend", f"{name}: {size} bytes in {len(seen.chunks)} chunks")
    t.note("worker", f"CPU ticks for 5 bodies of 600 KB on the wire: {ticks}")
    # A machine of single bytes in a debug build under sanitizers is slow; quadratic it is not.
    assert ticks["tiny"] < 300 + 50 * ticks["whole"], ticks


def test_tiny_chunks_of_a_backend_are_put_together(t):
    def script(connection):
        while True:
            if connection.request().target == "/tiny":
                connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
            else:
                connection.answer(200, to="GET")
    lb = t.lb(pool(t.backend("s1", script)))
    client = t.client(lb)
    client.ask("GET", "/tiny")
    served(t, lb)
    answer = client.answer()
    assert answer.body == b"x" * 100_000 and len(answer.chunks) < 5000, len(answer.chunks)


# -- those who do not read


class Endless:
    """A backend that answers requests for /big with `block` for ever, and knows when nobody takes any more of it."""

    def __init__(self, t, head, block):
        self.t, self.head, self.block = t, head, block
        self.taken = 0

    def __call__(self, connection):
        while True:
            if connection.request().target != "/big":
                connection.answer(200, to="GET")
                continue
            connection.send(self.head)
            connection.sock.settimeout(0.5)
            taken = 0
            while taken < 256 * MIB:
                try:
                    step = connection.sock.send(self.block[taken % len(self.block):])
                except TimeoutError:
                    continue
                taken += step
                with self.t.changed:
                    self.taken += step

    def wait_stalled(self):
        """Nothing was taken for a second. A worker that is only busy takes some now and then."""
        seen, since = -1, time.monotonic()

        def quiet():
            nonlocal seen, since
            if self.taken != seen:
                seen, since = self.taken, time.monotonic()
            return time.monotonic() - since > 1
        self.t.wait(quiet, "the backend is held back", within=60)


def not_read(t, head, block, config="", fields=(), readers=8):
    script = Endless(t, head, block)
    s1 = t.backend("s1", script)
    lb = lean(t, pool(s1) + config)
    worker, = lb.workers()
    served(t, lb)
    before = resident(worker)
    clients = [t.client(lb, receive_buffer=16384) for _ in range(readers)]
    for client in clients:
        client.ask("GET", "/big", fields)
    heads = [client.head() for client in clients]
    script.wait_stalled()
    served(t, lb)
    assert lb.metric("lb_backend_in_flight") == readers, "each still waits for its reader"
    grown = resident(worker) - before
    assert grown < readers * 512 * 1024 + 2 * MIB, f"the worker grew by {grown} bytes for {readers} clients that do not read"
    for client in clients:
        client.reset()
    lb.wait_metric(0, "lb_backend_in_flight", within=10)
    lb.wait_metric(readers, "lb_exchanges_total", end="client_gone")
    return heads


def test_a_chunked_answer_that_is_not_read_is_not_kept(t):
    not_read(t, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"c" * 65536 + b"\r\n")


def test_a_long_answer_that_is_not_read_is_not_kept(t):
    not_read(t, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"l" * 65536)


def test_an_answer_that_is_compressed_and_not_read_is_not_kept(t):
    text = os.urandom(512 * 1024).hex().encode()  # takes half the room: sockets alone do not hold it
    heads = not_read(t, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000000\r\n\r\n", text,
                     route("all", "pool = app", "compress = gzip"), {"Accept-Encoding": "gzip"}, readers=4)
    assert all(head.get("Content-Encoding") == "gzip" for head in heads)


def test_what_shrinks_to_nothing_costs_nothing(t):
    size = 32 * MIB

    def script(connection):
        while True:
            if connection.request().target == "/zeros":
                connection.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n")
                for _ in range(size // MIB):
                    connection.sock.sendall(bytes(MIB))
            else:
                connection.answer(200, to="GET")
    lb = lean(t, pool(t.backend("s1", script)) + route("all", "pool = app", "compress = gzip"))
    worker, = lb.workers()
    served(t, lb)
    before = resident(worker)
    client = t.client(lb, receive_buffer=16384)
    client.ask("GET", "/zeros", {"Accept-Encoding": "gzip"})
    head = client.head()
    served(t, lb)
    client.body_of(head, answers="GET")
    unpacked, step = 0, zlib.decompressobj(31)
    data = head.body
    while data:
        unpacked += len(step.decompress(data, MIB))
        data = step.unconsumed_tail
    assert unpacked == size and len(head.body) < size // 100
    assert resident(worker) - before < 4 * MIB


def test_readers_that_stand_still_leave_others_their_descriptors(t):
    """A body that moves inside the kernel holds a pipe, two descriptors more: 90 of them are more than there are."""
    script = Endless(t, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"l" * 65536)
    lb = t.lb(pool(t.backend("s1", script)), launcher=("prlimit", "--nofile=256:256"))
    worker, = lb.workers()
    held = []
    for number in range(80):
        client = t.client(lb, receive_buffer=4096)
        client.ask("GET", "/big")
        assert client.head().status == 200, f"the answer of reader {number + 1}"
        held.append(client)
    script.wait_stalled()
    # Each of them is stuck for good: bytes of its answer wait in lb or in its pipe.
    served(t, lb)
    used = len(descriptors(worker))
    assert used < 230, f"{used} descriptors for 80 clients"
    assert lb.metric("lb_accept_pauses_total", reason="descriptors") == 0
    for client in held:
        client.reset()
    lb.wait_metric(0, "lb_backend_in_flight", within=10)


# -- many of them


def test_one_address_does_not_take_everybodys_places(t):
    gate = t.gate()

    def script(connection):
        while True:
            if connection.request().target == "/hold":
                gate.wait()
            connection.answer(200, to="GET")
    s1 = t.backend("s1", script)
    lb = t.lb("[limit each]\nconnections = 5\n[listener web]\nlimit = each\n" + pool(s1))
    greedy = [Wire(t, connect(t, lb, source="127.0.0.2"), f"greedy {n}") for n in range(300)]
    for client in greedy:
        client.send("GET /hold HTTP/1.1\r\nHost: t\r\n\r\n")
    t.wait(lambda: len(s1.requests) == 5, "five are with the backend")
    lb.wait_metric(295, "lb_exchanges_total", end="limited")
    assert served(t, lb), "from another address"
    gate.open()
    statuses = []
    for client in greedy:
        statuses.append(client.body_of(client.head()).status)
        client.close()
    assert (statuses.count(200), statuses.count(429)) == (5, 295)
    assert len(s1.requests) == 6
    lb.wait_metric(0, "lb_client_connections")


def test_thousands_that_connect_and_reset_leave_nothing(t):
    lb = lean(t, pool(t.backend("s1")))
    worker, = lb.workers()
    served(t, lb)
    open_before, memory = len(descriptors(worker)), resident(worker)
    for number in range(3000):
        sock = connect(t, lb)
        if number % 3 == 1:
            sock.sendall(b"GET / HTTP/1.1\r\nHo")
        elif number % 3 == 2:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        if number % 500 == 0:
            served(t, lb)
    served(t, lb)
    lb.wait_metric(0, "lb_client_connections", within=20)
    lb.wait_metric(0, "lb_backend_in_flight")
    t.wait(lambda: len(descriptors(worker)) <= open_before + 4, "the descriptors are closed")
    assert resident(worker) - memory < 4 * MIB
    assert lb.workers() == [worker]


def test_half_closed_clients_do_not_stay(t):
    lb = t.lb(pool(t.backend("s1")))
    worker, = lb.workers()
    served(t, lb)
    open_before = len(descriptors(worker))
    for sent in (b"", b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345",
                 b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12"):
        clients = [connect(t, lb) for _ in range(200)]
        for sock in clients:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
        served(t, lb)
        for sock in clients:
            try:
                assert sock.recv(65536) == b"", "there is no request to answer"
            except ConnectionResetError:
                pass
            sock.close()
    lb.wait_metric(0, "lb_client_connections")
    lb.wait_metric(0, "lb_backend_in_flight")
    lb.wait_metric(400, "lb_exchanges_total", end="client_gone")
    t.wait(lambda: len(descriptors(worker)) <= open_before + 4, "the descriptors are closed")


def test_bad_requests_by_the_thousand_fill_no_log(t):
    lb = lean(t, pool(t.backend("s1")))
    worker, = lb.workers()
    served(t, lb)
    open_before, memory, lines = len(descriptors(worker)), resident(worker), len(lb.log)
    bad = (b"\0\0\0\0\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    for number in range(2000):
        sock = connect(t, lb)
        sock.sendall(bad[number % len(bad)])
        status = sock.recv(65536)[:12]
        assert status == (b"HTTP/1.1 505" if number % len(bad) == 1 else b"HTTP/1.1 400"), status
        sock.close()
        if number % 500 == 0:
            served(t, lb)
    lb.wait_metric(2000, "lb_exchanges_total", end="bad_request")
    lb.wait_metric(0, "lb_client_connections")
    t.wait(lambda: len(descriptors(worker)) <= open_before + 4, "the descriptors are closed")
    assert resident(worker) - memory < 4 * MIB
    assert len(lb.log) - lines < 20, f"{len(lb.log) - lines} lines of the error log, such as {lb.log[-1]!r}"
