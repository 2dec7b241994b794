"""What one client may have: requests a second, requests at once, and whether it may come in at all."""
import collections
import threading

from lbtest import pool
from test_balancing import counts


def ask_all(t, address, clients, each, fields=()):
    """Statuses of clients x each requests, pipelined in batches; refused ones keep their connections."""
    statuses = collections.Counter()
    lock = threading.Lock()
    lines = "".join(f"{name}: {value}\r\n" for name, value in dict(fields).items())
    request = f"GET / HTTP/1.1\r\nHost: test\r\n{lines}\r\n".encode()

    def talk(client):
        mine = collections.Counter()
        for _ in range(each // 25):
            client.sock.sendall(request * 25)
            for _ in range(25):
                mine[client.answer(to="GET").status] += 1
        with lock:
            statuses.update(mine)

    def guarded(client):
        try:
            talk(client)
        except Exception as error:  # noqa: BLE001
            t.fails(f"{client.who}: {type(error).__name__}: {error}")
    threads = [threading.Thread(target=guarded, args=(t.client(address),)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def limited(t, limit, more="", **options):
    backend = t.backend("s1", counts)
    text = f"[limit l]\n{limit}\n[listener web]\nlimit = l\n{more}" + pool(backend)
    return backend, t.lb(text, **options)


def test_10000_requests_over_4_workers_are_limited_to_exactly_the_configured_number(t):
    backend, lb = limited(t, "rate = 1/h burst=1234", workers=4)
    statuses = ask_all(t, lb.address, clients=40, each=250)
    assert statuses == {200: 1234, 429: 10000 - 1234}, statuses
    assert backend.seen == 1234
    lb.wait_metric(1234, "lb_limit_requests_total", limit="l", result="passed")
    lb.wait_metric(10000 - 1234, "lb_limit_requests_total", limit="l", result="refused")


def test_a_refusal_says_when_to_come_back_and_keeps_the_connection(t):
    _, lb = limited(t, "rate = 2/m burst=1")
    client = t.client(lb)
    assert client.get("/").status == 200
    refused = client.get("/")
    assert refused.status == 429
    assert 25 <= int(refused.get("Retry-After")) <= 30
    assert "limited" in refused.text
    assert client.get("/").status == 429
    lb.wait_metric(2, "lb_exchanges_total", end="limited")


def test_a_bucket_fills_again(t):
    _, lb = limited(t, "rate = 5/s burst=1")
    client = t.client(lb)
    assert client.get("/").status == 200
    t.wait(lambda: client.get("/").status == 200, "the next request may pass", within=5)


def test_a_limit_outlives_a_reload(t):
    _, lb = limited(t, "rate = 1/h burst=3")
    assert [t.get(lb).status for _ in range(2)] == [200, 200]
    lb.reload()
    assert [t.get(lb).status for _ in range(3)] == [200, 429, 429]


def test_keys_are_told_apart_by_header_and_absent_ones_are_free(t):
    _, lb = limited(t, "key = header X-Api-Key\nrate = 1/h burst=2\nstatus = 503")
    for key in ("a", "b"):
        assert [t.get(lb, "/", {"X-Api-Key": key}).status for _ in range(3)] == [200, 200, 503]
    assert [t.get(lb).status for _ in range(4)] == [200] * 4


def test_clients_are_told_apart_by_address_through_trusted_senders(t):
    _, lb = limited(t, "rate = 1/h burst=1", more="trusted = 127.0.0.0/8\n")
    for number in range(3):
        fields = {"X-Forwarded-For": f"192.0.2.{number}"}
        assert [t.get(lb, "/", fields).status for _ in range(2)] == [200, 429]


def test_dry_run_counts_and_refuses_nobody(t):
    _, lb = limited(t, "rate = 1/h burst=1\ndry_run = on")
    assert [t.get(lb).status for _ in range(3)] == [200] * 3
    lb.wait_metric(2, "lb_limit_requests_total", limit="l", result="would_refuse")


def holds(gate):
    def script(connection):
        while True:
            request = connection.request()
            if request.target == "/hold":
                gate.wait()
            connection.answer()
    return script


def test_connections_are_counted_over_all_workers_and_given_back(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb("[limit l]\nconnections = 3\n[listener web]\nlimit = l\n" + pool(backend), workers=4)
    held = [t.client(lb) for _ in range(3)]
    for number, client in enumerate(held):
        client.ask("GET", "/hold")
        t.wait(lambda want=number + 1: len(backend.requests) == want, f"{number + 1} are held")
    refused = t.get(lb)
    assert refused.status == 429 and refused.get("Retry-After") == "1"
    held[0].close()
    t.wait(lambda: t.get(lb).status == 200, "a place is free when its client left")
    gate.open()
    for client in held[1:]:
        assert client.answer().status == 200
    t.wait(lambda: t.get(lb).status == 200, "all places are free")


def test_a_killed_worker_leaves_no_places_behind(t):
    gate = t.gate()
    backend = t.backend("s1", holds(gate))
    lb = t.lb("[limit l]\nconnections = 2\n[listener web]\nlimit = l\n" + pool(backend), workers=1)
    held = [t.client(lb) for _ in range(2)]
    for number, client in enumerate(held):
        client.ask("GET", "/hold")
        t.wait(lambda want=number + 1: len(backend.requests) == want, f"{number + 1} are held")
    assert t.get(lb).status == 429
    lb.kill(lb.workers()[0])
    for client in held:
        client.expect_gone()
    t.wait(lambda: t.get(lb).status == 200, "the dead worker's places are free")
    gate.open()


def test_a_route_has_limits_of_its_own_and_a_key_may_be_the_route(t):
    backend = t.backend("s1", counts)
    lb = t.lb("[limit per-route]\nkey = route\nrate = 1/h burst=2\n"
              "[route api]\npath = /api/\npool = app\nlimit = per-route\n"
              "[route web]\npath = /web/\npool = app\nlimit = per-route\n[listener web]\npool = app\n" + pool(backend))
    for path in ("/api/x", "/web/x"):
        assert [t.get(lb, path).status for _ in range(3)] == [200, 200, 429], path
    assert t.get(lb, "/other").status == 200


def test_the_longest_prefix_of_an_acl_decides(t):
    lb = t.lb("[acl office]\nallow = 192.0.2.0/24\ndeny = 192.0.2.66\ndefault = deny\n"
              "[listener web]\ntrusted = 127.0.0.0/8\nacl = office\n" + pool(t.backend()))

    def status(address):
        return t.get(lb, "/", {"X-Forwarded-For": address}).status
    assert [status(each) for each in ("192.0.2.1", "192.0.2.66", "198.51.100.1")] == [200, 403, 403]
    lb.wait_metric(2, "lb_exchanges_total", end="denied")


def test_a_route_has_acls_of_its_own(t):
    lb = t.lb("[acl nobody]\ndefault = deny\n[route secret]\npath = /secret/\nacl = nobody\nrespond = 200\n"
              "[listener web]\npool = app\n" + pool(t.backend()))
    assert t.get(lb, "/secret/x").status == 403
    assert t.get(lb, "/x").status == 200
