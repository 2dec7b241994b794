"""Floods and slow clients: connections that say nothing, say it byte by byte, rest, or go on sending after their last
answer take places, descriptors and time; none of that is taken from a good client, and each is counted."""
import http.client
import os
import socket
import subprocess
import time

from lbtest import pool
from lbtest.balancer import descriptors
from lbtest.wire import PATIENCE

HALF = "GET /slow HTTP/1.1\r\nHost: test\r\nX-Slow: "


def crowd(t, lb, count, says="", name="flood"):
    clients = [t.client(lb, f"{name}{number}") for number in range(count)]
    if says:
        for each in clients:
            each.send(says)
    return clients


def closed(lb, reason):
    return lb.metric("lb_client_connections_closed_total", reason=reason)


def gone(clients):
    """How many of them lb has closed, without waiting."""
    count = 0
    for each in clients:
        each.sock.setblocking(False)
        try:
            count += each.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            pass
        except ConnectionResetError:
            count += 1
        finally:
            each.sock.settimeout(PATIENCE)
    return count


def waits(gate):
    def script(connection):
        while True:
            request = connection.request()
            if request.target.startswith("/wait"):
                gate.wait()
            connection.answer(200, to=request.method)
    return script


# -- all places are taken


def test_idle_connections_give_their_places_to_newcomers(t):
    lb = t.lb("[global]\nconnections = 8\n[defaults]\nidle_timeout = 1h\n" + pool(t.backend("s1")))
    idle = [t.client(lb, f"idle{number}") for number in range(8)]
    for each in idle:
        assert each.get("/first").status == 200
    for _ in range(4):
        assert t.get(lb).status == 200
    assert lb.metric("lb_accept_pauses_total") == 0
    t.wait(lambda: closed(lb, "room_idle") >= 1, "it is counted")
    idle[0].expect_end()  # the one that rested longest
    assert idle[7].get("/again").status == 200


def test_silent_connections_give_their_places_to_newcomers(t):
    lb = t.lb("[global]\nconnections = 8\n[defaults]\nheader_timeout = 1h\n" + pool(t.backend("s1")))
    good = t.client(lb, "good")
    assert good.get("/").status == 200
    flood = []
    for _ in range(5):
        flood += crowd(t, lb, 8)
        newcomer = t.client(lb, "newcomer")
        assert newcomer.get("/").status == 200
    t.wait(lambda: gone(flood) >= 30, "those that say nothing are closed")
    t.wait(lambda: closed(lb, "room_head") >= 30, "they are counted")
    assert lb.metric("lb_accept_pauses_total") == 0


def test_a_connection_that_was_not_answered_yet_never_makes_room(t):
    gate = t.gate()
    lb = t.lb("[global]\nconnections = 4\n" + pool(t.backend("s1", waits(gate))))
    busy = [t.client(lb, f"busy{number}") for number in range(3)]
    for each in busy:
        each.ask("GET", "/wait")
    lb.wait_metric(3, "lb_backend_in_flight")
    for _ in range(5):
        crowd(t, lb, 4)
        assert t.get(lb).status == 200
    assert gone(busy) == 0
    gate.open()
    for each in busy:
        assert each.answer().status == 200
    t.wait(lambda: closed(lb, "room_idle") + closed(lb, "room_head") >= 15, "room was made")


def test_one_that_lingers_goes_before_one_that_may_come_back(t):
    lb = t.lb("[global]\nconnections = 2\n[listener web]\nmax_body = 10b\n" + pool(t.backend("s1")))
    idle = t.client(lb, "idle")
    assert idle.get("/").status == 200
    greedy = t.client(lb, "greedy")
    greedy.ask("POST", "/", {"Content-Length": "1000000"})
    assert greedy.answer().status == 413
    assert t.get(lb).status == 200
    lb.wait_metric(1, "lb_client_connections_closed_total", reason="room_lingering")
    assert idle.get("/").status == 200


# -- nothing, half a head, byte by byte


def test_heads_that_never_end_delay_nobody_and_are_counted(t):
    lb = t.lb("[defaults]\nheader_timeout = 2s\n" + pool(t.backend("s1")))
    slow = crowd(t, lb, 40, HALF)
    good = t.client(lb, "good")
    answered = 0

    def over():
        nonlocal answered
        for each in slow:
            try:
                each.sock.send(b"x", socket.MSG_DONTWAIT)
            except OSError:
                pass  # closed: that is what is waited for
        assert good.get(f"/{answered}").status == 200
        answered += 1
        return lb.metric("lb_exchanges_total", end="header_timeout") == 40
    t.wait(over, "every slow head is given up", within=30)
    assert answered >= 2
    for each in slow:
        assert each.answer().status == 408
        each.finish()
        each.expect_gone()
    t.wait(lambda: lb.metric("lb_client_connections") == 1, "only the good one is left")


def test_connections_without_a_byte_are_counted(t):
    lb = t.lb("[defaults]\nheader_timeout = 300ms\n" + pool(t.backend("s1")))
    silent = crowd(t, lb, 20)
    good = t.client(lb, "good")
    assert good.get("/").status == 200
    for each in silent:
        each.expect_end()
    lb.wait_metric(20, "lb_client_connections_closed_total", reason="silent")
    assert good.get("/").status == 200


def test_idle_connections_are_counted(t):
    lb = t.lb("[defaults]\nidle_timeout = 300ms\n" + pool(t.backend("s1")))
    idle = crowd(t, lb, 5)
    for each in idle:
        assert each.get("/").status == 200
    for each in idle:
        each.expect_end()
    lb.wait_metric(5, "lb_client_connections_closed_total", reason="idle")


def test_what_a_client_ends_is_counted(t):
    lb = t.lb(pool(t.backend("s1")))
    client = t.client(lb)
    assert client.get("/").status == 200
    client.close()
    lb.wait_metric(1, "lb_client_connections_closed_total", reason="client")
    t.client(lb).close()
    lb.wait_metric(2, "lb_client_connections_closed_total", reason="client")
    half = t.client(lb)
    half.send(HALF)
    half.finish()
    half.expect_gone()
    lb.wait_metric(1, "lb_client_connections_closed_total", reason="half_head")


def test_the_head_of_a_second_request_has_its_time_from_its_first_byte(t):
    lb = t.lb("[defaults]\nheader_timeout = 300ms\nidle_timeout = 1h\n" + pool(t.backend("s1")))
    client = t.client(lb)
    assert client.get("/").status == 200
    other = t.client(lb)
    with t.lasts(0.3):
        other.expect_end()  # header_timeout has gone by, and the first one only rests
    assert client.get("/").status == 200
    client.send(HALF)
    with t.lasts(0.25):
        assert client.answer().status == 408
    behind = t.client(lb)
    behind.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n" + HALF)
    assert behind.answer().status == 200
    assert behind.answer().status == 408
    lb.wait_metric(2, "lb_exchanges_total", end="header_timeout")


def test_empty_lines_hold_no_connection(t):
    lb = t.lb("[defaults]\nheader_timeout = 300ms\nidle_timeout = 1h\n" + pool(t.backend("s1")))
    client = t.client(lb)
    assert client.get("/").status == 200
    client.send("\r\n")
    client.expect_end()  # quietly: some clients send an empty line behind a body, and asked nothing
    lb.wait_metric(1, "lb_client_connections_closed_total", reason="silent")
    many = t.client(lb)
    many.send("\r\n" * 1000)
    assert many.answer().status == 400


# -- the last answer is read


def test_an_upload_of_any_length_sees_why_it_was_refused(t):
    lb = t.lb("[listener web]\nmax_body = 1m\n" + pool(t.backend("s1")))
    connection = http.client.HTTPConnection(*lb.address, timeout=60)
    piece = b"x" * (1 << 20)
    connection.request("POST", "/", body=(piece for _ in range(50)), headers={"Content-Length": str(50 << 20)})
    answer = connection.getresponse()
    assert answer.status == 413, answer.status
    answer.read()
    connection.close()
    connection = http.client.HTTPConnection(*lb.address, timeout=60)
    connection.request("POST", "/", body=(piece for _ in range(50)), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 413
    connection.close()


def test_an_upload_on_a_unix_socket_sees_why_it_was_refused(t):
    path = t.path("clients.sock")
    lb = t.lb(f"[listener web]\nbind = unix:{path}\nmax_body = 1m\n" + pool(t.backend("s1")))
    assert lb.is_running()
    client = t.client(path)
    client.ask("POST", "/", {"Content-Length": str(8 << 20)})
    for _ in range(8):
        client.send(b"x" * (1 << 20))
    assert client.answer().status == 413
    client.finish()
    client.expect_end()


def test_a_client_that_ends_its_side_sees_why_it_was_refused(t):
    lb = t.lb("[listener web]\nmax_body = 1m\n" + pool(t.backend("s1")))
    client = t.client(lb)
    client.ask("POST", "/", {"Content-Length": str(8 << 20)})
    for _ in range(8):
        client.send(b"x" * (1 << 20))
    client.finish()
    assert client.answer().status == 413
    client.expect_end()


def test_what_comes_behind_a_refused_head_does_not_destroy_its_answer(t):
    lb = t.lb(pool(t.backend("s1")))
    client = t.client(lb)
    client.send("GET / HTTP/1.1\r\nHost : test\r\n\r\n")
    for _ in range(8):
        client.send("GET /behind HTTP/1.1\r\nHost: test\r\n\r\n" * 30000)
    assert client.answer().status == 400
    client.finish()
    client.expect_end()
    assert lb.metric("lb_exchanges_total", end="done") == 0


def test_one_that_sends_at_full_speed_delays_nobody_and_has_its_end(t):
    lb = t.lb("[listener web]\nmax_body = 10b\n" + pool(t.backend("s1")))
    greedy = t.client(lb, "greedy")
    greedy.ask("POST", "/", {"Content-Length": str(1 << 40)})
    assert greedy.answer().status == 413
    greedy.sock.setblocking(False)
    good = t.client(lb, "good")
    piece = b"x" * (1 << 20)
    sent = answered = 0
    while sent < 64 << 20:
        try:
            sent += greedy.sock.send(piece)
        except BlockingIOError:
            pass
        if sent >> 20 > answered:
            assert good.get("/").status == 200
            answered += 1
    assert answered >= 10
    with t.lasts(2, 30):  # silent now, and it keeps its side open
        lb.wait_metric(1, "lb_client_connections_closed_total", reason="lingering", within=30)
    assert good.get("/").status == 200


# -- no descriptors


def prlimit(pid, soft):
    """As the process's own user, who may: root is not always allowed to."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        ids = {line.split()[0]: int(line.split()[1]) for line in file if line.startswith(("Uid:", "Gid:"))}
    own = {} if os.geteuid() else {"user": ids["Uid:"], "group": ids["Gid:"], "extra_groups": []}
    subprocess.run(["prlimit", "--pid", str(pid), f"--nofile={soft}:"], check=True, **own)


def spare_descriptors(pid, count):
    """The process can open so many more. Returns what sets its limit to what it was."""
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        before = next(line.split()[3] for line in file if line.startswith("Max open files"))
    used = {int(each) for each in descriptors(pid)}
    prlimit(pid, sorted(set(range(len(used) + count + 1)) - used)[count])
    return lambda: prlimit(pid, before)


def test_without_descriptors_newcomers_take_the_places_of_those_that_rest(t):
    gate = t.gate()
    lb = t.lb("[defaults]\nheader_timeout = 1h\n" + pool(t.backend("s1", waits(gate))))
    worker, = lb.workers()
    busy = t.client(lb, "busy")
    busy.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    spare_descriptors(worker, 24)
    flood = crowd(t, lb, 60)
    for _ in range(3):
        newcomer = t.client(lb, "newcomer")
        assert newcomer.get("/").status == 200
        newcomer.close()
        flood += crowd(t, lb, 20)
    t.wait(lambda: closed(lb, "room_head") >= 20, "they are counted")
    assert gone([busy]) == 0
    gate.open()
    assert busy.answer().status == 200


def test_without_descriptors_and_nobody_who_rests_newcomers_wait_and_lb_does_not_spin(t):
    gate = t.gate()
    lb = t.lb(pool(t.backend("s1", waits(gate))))
    worker, = lb.workers()
    busy = [t.client(lb, f"busy{number}") for number in range(8)]
    for each in busy:
        each.ask("GET", "/wait")
    lb.wait_metric(8, "lb_backend_in_flight")
    restore = spare_descriptors(worker, 0)
    waiting = t.client(lb, "waiting")
    waiting.ask("GET", "/late")
    t.wait(lambda: lb.metric("lb_accept_pauses_total", reason="descriptors"), "accepting pauses")
    begin, turns = time.monotonic(), lb.metric("lb_loop_turns_total")
    pauses = lb.metric("lb_accept_pauses_total", reason="descriptors")
    t.wait(lambda: lb.metric("lb_accept_pauses_total", reason="descriptors") >= pauses + 3, "it is tried again", within=30)
    tried = lb.metric("lb_accept_pauses_total", reason="descriptors") - pauses
    took = time.monotonic() - begin
    assert tried <= 5 + 40 * took, f"{tried} tries in {took:.3f} s: more than one each tick"
    # One try takes at most a tick, its turn and a few of the admin's; a loop that spins makes thousands.
    assert lb.metric("lb_loop_turns_total") - turns < 100 * (tried + 10)
    restore()
    assert waiting.answer().status == 200, "it recovers by itself"
    gate.open()
    for each in busy:
        assert each.answer().status == 200


def test_without_a_descriptor_for_its_backend_a_request_is_answered_503(t):
    gate = t.gate()
    lb = t.lb(pool(t.backend("s1", waits(gate))))
    worker, = lb.workers()
    first = t.client(lb, "first")
    first.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    second = t.client(lb, "second")
    second.send("GET /second HTTP/1.1\r\n")
    lb.wait_metric(2, "lb_client_connections")
    restore = spare_descriptors(worker, 0)
    second.asked.append("GET")
    second.send("Host: test\r\n\r\n")
    assert second.answer().status == 503
    lb.wait_metric(1, "lb_exchanges_total", end="overload")
    restore()
    assert t.get(lb).status == 200
    gate.open()
    assert first.answer().status == 200
