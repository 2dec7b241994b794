"""Backends that can take only so much: max_inflight over all workers, and the queue in front of them."""
import os
import signal
import socket
import struct
import threading

from lbtest import pool


def holds(gate):
    def script(connection):
        while True:
            request = connection.request()
            if request.target.startswith("/hold"):
                gate.wait()
            connection.answer()
    return script


def hold(t, lb, backends, number):
    """`number` requests, each at a backend before the next one comes."""
    clients = []
    for count in range(1, number + 1):
        client = t.client(lb)
        client.ask("GET", f"/hold{count}")
        clients.append(client)
        t.wait(lambda want=count: sum(len(each.requests) for each in backends) == want, f"{count} requests are held")
    return clients


def test_no_backend_ever_gets_more_than_its_max_inflight_over_4_workers(t):
    most, now, lock = [0], [0], threading.Lock()

    def watches(connection):
        while True:
            connection.request()
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.002)
            with lock:
                now[0] -= 1
            connection.answer()
    backend = t.backend("s1", watches)
    lb = t.lb(pool(f"{backend} max_inflight=3", more="queue = 1000 timeout=30s\n"), workers=4)
    wrong = []

    def talk(client):
        for _ in range(10):
            status = client.get("/").status
            if status != 200:
                wrong.append(status)
    threads = [threading.Thread(target=talk, args=(t.client(lb),)) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(backend.requests) == 240
    assert most[0] == 3, most
    lb.wait_metric(0, "lb_pool_queued", pool="app")
    assert lb.metric("lb_pool_saturated_total", pool="app") > 0


def test_without_a_queue_a_full_pool_answers_503_at_once(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=2"), workers=2)
    held = hold(t, lb, [backend], 2)
    refused = t.get(lb)
    assert refused.status == 503 and refused.get("Retry-After") == "1" and "saturated" in refused.text
    gate.open()
    assert [client.answer().status for client in held] == [200, 200]
    t.wait(lambda: t.get(lb).status == 200, "there is room again")
    lb.wait_metric(1, "lb_exchanges_total", end="saturated")


def test_a_full_backend_is_passed_over_for_one_that_is_not(t):
    gate = t.gate()
    small, large = t.backend("small", holds(gate)), t.backend("large", holds(gate))
    lb = t.lb(pool(f"{small} max_inflight=1", large), workers=2)
    hold(t, lb, [small, large], 7)
    assert (len(small.requests), len(large.requests)) == (1, 6)
    gate.open()


def test_the_queue_is_first_in_first_out_over_all_workers(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=1", more="queue = 10 timeout=30s\n"), workers=4)
    held = hold(t, lb, [backend], 1)
    waiting = []
    for number in range(8):
        client = t.client(lb)
        client.ask("GET", f"/{number}")
        waiting.append(client)
        lb.wait_metric(number + 1, "lb_pool_queued", pool="app")
    gate.open()
    assert held[0].answer().status == 200
    assert [client.answer(to="GET").status for client in waiting] == [200] * 8
    assert [request.target for request in backend.requests[1:]] == [f"/{number}" for number in range(8)]


def test_a_full_queue_and_a_long_wait_end_in_503(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=1", more="queue = 2 timeout=1s\n"), workers=2)
    held = hold(t, lb, [backend], 1)
    waiting = [t.client(lb) for _ in range(2)]
    for number, client in enumerate(waiting):
        client.ask("GET", "/waits")
        lb.wait_metric(number + 1, "lb_pool_queued", pool="app")
    assert "saturated" in t.get(lb).text
    for client in waiting:
        answer = client.answer(to="GET")
        assert answer.status == 503 and "queue_timeout" in answer.text
    lb.wait_metric(2, "lb_pool_queue_timeouts_total", pool="app")
    lb.wait_metric(0, "lb_pool_queued", pool="app")
    gate.open()
    assert held[0].answer().status == 200
    assert len(backend.requests) == 1


def test_a_client_that_leaves_is_taken_out_of_the_queue(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=1", more="queue = 1 timeout=30s\n"), workers=2)
    held = hold(t, lb, [backend], 1)
    leaves = t.client(lb)
    leaves.ask("GET", "/left")
    lb.wait_metric(1, "lb_pool_queued", pool="app")
    leaves.close()
    lb.wait_metric(0, "lb_pool_queued", pool="app")
    stays = t.client(lb)
    stays.ask("GET", "/stays")
    lb.wait_metric(1, "lb_pool_queued", pool="app")
    gate.open()
    assert held[0].answer().status == 200
    assert stays.answer(to="GET").status == 200
    assert [request.target for request in backend.requests] == ["/hold1", "/stays"]


def test_a_client_that_leaves_with_bytes_unread_is_taken_out_of_the_queue(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=1", more="queue = 10 timeout=60s\n"), workers=2)
    held = hold(t, lb, [backend], 1)
    sent = [b"POST /part HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\npart",
            b"POST /part HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
            b"GET /ahead HTTP/1.1\r\nHost: test\r\n\r\n" * 3]
    for number, bytes_ in enumerate(sent * 2):
        client = t.client(lb)
        client.send(bytes_)
        lb.wait_metric(1, "lb_pool_queued", pool="app")
        if number >= len(sent):  # a reset instead of an end
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        lb.wait_metric(0, "lb_pool_queued", pool="app")
    lb.wait_metric(len(sent) * 2, "lb_exchanges_total", end="client_gone")
    gate.open()
    assert held[0].answer().status == 200
    assert [request.target for request in backend.requests] == ["/hold1"]


def test_a_client_whose_end_comes_with_its_request_is_taken_out_of_the_queue(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=1", more="queue = 10 timeout=60s\n"))
    leaves = [t.client(lb), t.client(lb)]
    for client in leaves:
        assert client.get("/first").status == 200
    held = t.client(lb)
    held.ask("GET", "/hold")
    t.wait(lambda: len(backend.requests) == 3, "the place is taken")
    worker = lb.workers()[0]
    os.kill(worker, signal.SIGSTOP)  # it will find request and end at once
    for number, client in enumerate(leaves):
        client.send(b"GET /left HTTP/1.1\r\nHost: test\r\n\r\n" * (1 + number))
        client.close()
    os.kill(worker, signal.SIGCONT)
    lb.wait_metric(2, "lb_exchanges_total", end="client_gone")
    lb.wait_metric(0, "lb_pool_queued", pool="app")
    gate.open()
    assert held.answer().status == 200
    assert [request.target for request in backend.requests] == ["/first", "/first", "/hold"]


def test_body_bytes_that_come_while_a_request_waits_are_not_lost(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=1", more="queue = 10 timeout=60s\n"))
    held = hold(t, lb, [backend], 1)
    body = bytes(range(256)) * 1000
    long, chunked = t.client(lb), t.client(lb)
    long.send(b"POST /long HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:1000])
    lb.wait_metric(1, "lb_pool_queued", pool="app")
    long.send(body[1000:9000])
    chunked.send(b"POST /chunked HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    lb.wait_metric(2, "lb_pool_queued", pool="app")
    chunked.send(b"3\r\ndef\r\n0\r\n\r\n")
    gate.open()
    long.send(body[9000:])
    assert held[0].answer().status == 200
    assert [long.answer(to="POST").status, chunked.answer(to="POST").status] == [200, 200]
    assert [request.body for request in backend.requests[1:]] == [body, b"abcdef"]


def test_a_killed_worker_gives_back_its_places_and_the_queue_goes_on(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb(pool(f"{backend} max_inflight=2", more="queue = 100 timeout=60s\n"), workers=1)
    held = hold(t, lb, [backend], 2)
    waits = t.client(lb)
    waits.ask("GET", "/waits")
    lb.wait_metric(1, "lb_pool_queued", pool="app")
    lb.kill(lb.workers()[0])
    for client in [*held, waits]:
        client.expect_gone()
    lb.wait_metric(0, "lb_pool_queued", pool="app")
    lb.wait_metric(0, "lb_backend_in_flight", pool="app")
    t.wait(lambda: len(lb.workers()) == 1 and t.get(lb).status == 200, "places and queue are free")
    gate.open()


def test_waiting_requests_go_to_a_backend_that_comes_up(t):
    gate = t.gate()
    busy, late = t.backend("busy", holds(gate)), t.backend("late")
    late.check_status = 500
    check = "check = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1\n"
    lb = t.lb(pool(f"{busy} max_inflight=1 name=busy", f"{late} name=late", more=f"{check}queue = 10 timeout=30s\n"))
    lb.wait_metric(1, "lb_backend_up", pool="app", backend="busy")
    held = hold(t, lb, [busy], 1)
    waits = t.client(lb)
    waits.ask("GET", "/waits")
    lb.wait_metric(1, "lb_pool_queued", pool="app")
    late.check_status = 200
    assert waits.answer(to="GET").text == "late"
    gate.open()
    assert held[0].answer().status == 200
