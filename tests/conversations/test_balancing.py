"""Who gets the next request, over all workers."""
import threading

from lbtest import pool
from lbtest.balancer import descriptors


def counts(connection):
    """Answers as many requests as came at once, cheaply: thousands of them."""
    while True:
        connection.buffer.clear()
        data = connection.sock.recv(65536)
        if not data:
            return
        while not data.endswith(b"\r\n\r\n"):
            data += connection.sock.recv(65536)
        came = data.count(b"\r\n\r\n")
        with connection.backend.story.changed:
            connection.backend.seen = getattr(connection.backend, "seen", 0) + came
        connection.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" * came)


def sockets_of(pid):
    return sum(name.startswith("socket:") for name in descriptors(pid).values())


def ask_many(t, address, clients, each):
    """`clients` connections ask `each` requests in batches of 25; every answer must be a 200."""
    connections = [t.client(address) for _ in range(clients)]

    def talk(client):
        for _ in range(each // 25):
            client.sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" * 25)
            for _ in range(25):
                assert client.answer(to="GET").status == 200

    def guarded(client):
        try:
            talk(client)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a thread fails the test
            t.fails(f"{client.who}: {type(error).__name__}: {error}")
    threads = [threading.Thread(target=guarded, args=(client,)) for client in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return connections


def exactly_3_2_1(t, listener, address_of):
    s1, s2, s3 = (t.backend(f"s{n}", counts) for n in (1, 2, 3))
    lb = t.lb(listener + pool(f"{s1} weight=3", f"{s2} weight=2", s3), workers=4)
    before = {pid: sockets_of(pid) for pid in lb.workers()}
    connections = ask_many(t, address_of(lb), clients=40, each=150)
    busy = [pid for pid in before if sockets_of(pid) > before[pid]]
    assert (s1.seen, s2.seen, s3.seen) == (3000, 2000, 1000)
    for backend, wanted in ((s1, 3000), (s2, 2000), (s3, 1000)):
        lb.wait_metric(wanted, "lb_backend_requests_total", backend=str(backend), class_="2xx")
    lb.wait_metric(6000, "lb_requests_total", pool="app")
    for client in connections:
        client.close()
    return busy


def test_6000_requests_over_4_workers_split_exactly_by_weight(t):
    port = t.free_port()
    busy = exactly_3_2_1(t, f"[listener web]\nbind = 127.0.0.1:{port}\n", lambda lb: ("127.0.0.1", port))
    assert len(busy) == 4, f"only workers {busy} had connections"


def test_the_split_is_exact_on_one_shared_socket_too(t):
    exactly_3_2_1(t, "", lambda lb: lb.address)


def test_the_schedule_is_smooth(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    client = t.client(t.lb(pool(f"{s1} weight=3", s2)))
    order = "".join(client.get("/").text[1] for _ in range(16))
    assert order.count("2") == 4 and "22" not in order and "1111" not in order, order


def holds(gate):
    def script(connection):
        while True:
            request = connection.request()
            if request.target == "/hold":
                gate.wait()
            connection.answer()
    return script


def test_least_conn_prefers_the_less_loaded_over_all_workers(t):
    gate = t.gate()
    s1, s2 = t.backend("s1", holds(gate)), t.backend("s2", holds(gate))
    lb = t.lb(pool(s1, s2, more="balance = least_conn\n"), workers=2)
    held = t.client(lb)
    held.ask("GET", "/hold")
    busy = t.wait(lambda: (s1 if s1.requests else s2 if s2.requests else None), "somebody holds the request")
    other = s2 if busy is s1 else s1
    for _ in range(10):  # ten connections: either worker may take them
        assert t.get(lb).text == other.name
    gate.open()
    assert held.answer().text == busy.name


def test_least_conn_counts_in_proportion_to_weight(t):
    gate = t.gate()
    s1, s2 = t.backend("s1", holds(gate)), t.backend("s2", holds(gate))
    lb = t.lb(pool(f"{s1} weight=3", s2, more="balance = least_conn\n"))
    for number in range(1, 9):
        t.client(lb).ask("GET", "/hold")
        t.wait(lambda want=number: len(s1.requests) + len(s2.requests) == want, f"{number} requests are held")
    assert (len(s1.requests), len(s2.requests)) == (6, 2)
    gate.open()


def test_a_backup_works_only_while_no_primary_can(t):
    s1, spare = t.backend("s1"), t.backend("spare")
    lb = t.lb(pool(s1, f"{spare} backup", more="check = http GET /healthz interval=300ms timeout=300ms rise=1 fall=1\n"))
    assert [t.get(lb).text for _ in range(4)] == ["s1"] * 4
    s1.check_status = 503
    lb.wait_metric(0, "lb_backend_up", backend=str(s1))
    assert [t.get(lb).text for _ in range(4)] == ["spare"] * 4
    s1.check_status = 200
    lb.wait_metric(1, "lb_backend_up", backend=str(s1))
    assert [t.get(lb).text for _ in range(4)] == ["s1"] * 4


def test_a_listener_and_a_backend_may_be_ipv6(t):
    import socket
    s1 = t.backend("s1", family=socket.AF_INET6)
    six = t.socket(socket.AF_INET6)
    lb = t.lb(f"[listener web]\nbind = {six}\n" + pool(s1), sockets=[six])
    assert t.get(six).text == "s1"
    assert s1.requests[0].get("X-Forwarded-For") == "::1"
    lb.wait_metric(1, "lb_backend_requests_total", backend=str(s1))
