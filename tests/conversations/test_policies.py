"""Policies, zones and slow start: whom a request goes to, over all workers."""
import collections
import threading

from lbtest import pool
from test_balancing import ask_many, counts


def shares_over_4_workers(t, policy, weights=(3, 2, 1), clients=24, each=100):
    """Requests of each backend, in parts of the whole."""
    backends = [t.backend(f"s{n}", counts) for n in range(1, len(weights) + 1)]
    lines = [f"{backend} weight={weight}" for backend, weight in zip(backends, weights)]
    lb = t.lb(pool(*lines, more=f"balance = {policy}\n"), workers=4)
    for client in ask_many(t, lb.address, clients, each):
        client.close()
    lb.wait_metric(clients * each, "lb_requests_total", pool="app")
    seen = [getattr(backend, "seen", 0) for backend in backends]
    assert sum(seen) == clients * each
    lb.wait_metric(0, "lb_backend_in_flight", pool="app")
    return [one / sum(seen) for one in seen]


def near(shares, wanted, by):
    assert all(abs(one - want) <= by for one, want in zip(shares, wanted)), f"{shares}, not {wanted}"


def test_random_shares_by_weight(t):
    near(shares_over_4_workers(t, "random"), (3 / 6, 2 / 6, 1 / 6), 0.06)


def test_p2c_gives_everybody_something(t):
    shares = shares_over_4_workers(t, "p2c", (1, 1, 1))
    assert min(shares) > 0.1, shares


def test_peak_ewma_gives_everybody_something(t):
    shares = shares_over_4_workers(t, "peak_ewma", (1, 1, 1))
    assert min(shares) > 0.02, shares


def test_hash_by_uri_keeps_a_key_at_its_backend_and_spreads_keys(t):
    backends = [t.backend() for _ in range(4)]
    lb = t.lb(pool(*backends, more="balance = hash uri\n"), workers=2)
    found = collections.Counter()
    client = t.client(lb)
    for key in range(60):
        first = client.get(f"/object/{key}").text
        assert t.get(lb, f"/object/{key}").text == first, f"/object/{key} has moved"
        found[first] += 1
    assert len(found) == 4 and max(found.values()) < 30, found


def test_two_lb_of_different_size_hash_alike(t):
    backends = [t.backend() for _ in range(5)]
    text = pool(*(f"{backend} name={backend.name}" for backend in backends), more="balance = hash header X-Key\n")
    one, two = t.lb(text, workers=1), t.lb(text, workers=3)
    to_one, to_two = t.client(one), t.client(two)
    for key in range(100):
        fields = {"X-Key": f"k{key}"}
        assert to_one.get("/", fields).text == to_two.get("/", fields).text, f"key {key}"


def test_a_lost_backend_moves_only_its_own_keys(t):
    backends = [t.backend() for _ in range(5)]
    check = "check = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1 start=up\n"
    lb = t.lb(pool(*(f"{each} name={each.name}" for each in backends), more=f"balance = hash query id\n{check}"))
    client = t.client(lb)
    before = {key: client.get(f"/?id={key}").text for key in range(200)}
    backends[2].check_status = 500
    lb.wait_metric(0, "lb_backend_up", pool="app", backend="s3")
    after = {key: client.get(f"/?id={key}").text for key in range(200)}
    moved = [key for key in before if before[key] != after[key]]
    assert all(after[key] != "s3" for key in after)
    others = [key for key in moved if before[key] != "s3"]
    assert len(others) <= 0.2 * (200 / 5) + 4, f"{len(others)} keys moved that had no need to"


def test_ip_hash_keeps_a_client_at_one_backend(t):
    backends = [t.backend() for _ in range(3)]
    lb = t.lb("[listener web]\ntrusted = 127.0.0.0/8\n" + pool(*backends, more="balance = ip_hash\n"), workers=2)
    found = set()
    for number in range(30):
        fields = {"X-Forwarded-For": f"192.0.2.{number}"}
        answers = {t.get(lb, "/", fields).text for _ in range(3)}
        assert len(answers) == 1, f"192.0.2.{number} met {answers}"
        found |= answers
    assert found == {"s1", "s2", "s3"}


def holds_all(gate):
    def script(connection):
        while True:
            connection.request()
            gate.wait()
            connection.answer()
    return script


def test_a_hash_with_a_bound_spreads_one_hot_key(t):
    gate = t.gate()
    backends = [t.backend(None, holds_all(gate)) for _ in range(4)]
    lb = t.lb(pool(*backends, more="balance = hash path bound=125%\n"), workers=2)
    for number in range(1, 17):
        t.client(lb).ask("GET", "/hot")
        t.wait(lambda want=number: sum(len(each.requests) for each in backends) == want, f"{number} requests are held")
    # 125 % of a mean of 4 is 5.
    assert max(len(each.requests) for each in backends) <= 5, [len(each.requests) for each in backends]
    gate.open()


def test_a_retry_falls_back_to_a_backup_when_every_primary_was_tried(t):
    dead, spare = t.refusing(), t.backend("spare")
    lb = t.lb(pool(dead, f"{spare} backup"))
    assert t.get(lb).text == "spare"


ZONES = "[zones]\nhere = eu\n"


def test_the_own_zone_is_preferred_and_the_other_takes_over(t):
    near_one, far_one = t.backend("near"), t.backend("far")
    check = "check = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1 start=up\n"
    lb = t.lb(ZONES + pool(f"{near_one} zone=eu name=near", f"{far_one} zone=us name=far", more=check))
    assert {t.get(lb).text for _ in range(20)} == {"near"}
    near_one.check_status = 500
    lb.wait_metric(0, "lb_backend_up", pool="app", backend="near")
    assert {t.get(lb).text for _ in range(20)} == {"far"}
    assert lb.metric("lb_pool_spilled_total", pool="app") == 20
    near_one.check_status = 200
    lb.wait_metric(1, "lb_backend_up", pool="app", backend="near")
    t.wait(lambda: t.get(lb).text == "near", "the own zone is back")


def test_a_zone_spills_gradually_when_its_healthy_share_falls(t):
    backends = [t.backend(f"n{number}") for number in range(4)]
    far = t.backend("far")
    check = "check = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1 start=up\n"
    lines = [f"{each} zone=eu name={each.name}" for each in backends] + [f"{far} zone=us name=far"]
    lb = t.lb("[zones]\nhere = eu\nspill = 100%\n" + pool(*lines, more=check))
    backends[0].check_status = backends[1].check_status = 500
    for name in ("n0", "n1"):
        lb.wait_metric(0, "lb_backend_up", pool="app", backend=name)
    client = t.client(lb)
    found = collections.Counter(client.get("/").text for _ in range(400))
    # Half of the zone is healthy and all of it was wanted: about half of the requests stay.
    assert 120 <= found["far"] <= 280, found
    assert not found["n0"] and not found["n1"], found


def test_slow_start_lets_a_backend_come_back_gently(t):
    old, new = t.backend("old"), t.backend("new")
    check = "check = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1 start=up\n"
    text = pool(f"{old} name=old", f"{new} name=new", more=f"{check}slow_start = 30s\n")
    lb = t.lb(text)
    client = t.client(lb)
    first = collections.Counter(client.get("/").text for _ in range(20))
    assert first["new"] == 10, "a start is no recovery"
    new.check_status = 500
    lb.wait_metric(0, "lb_backend_up", pool="app", backend="new")
    new.check_status = 200
    lb.wait_metric(1, "lb_backend_up", pool="app", backend="new")
    t.wait(lambda: any(client.get("/").text == "new" for _ in range(40)), "it gets something")
    found = collections.Counter(client.get("/").text for _ in range(100))
    assert 0 < found["new"] < 40, found


def test_country_decides_the_zone(t):
    eu, us = t.backend("eu"), t.backend("us")
    lb = t.lb(f"[zones]\nhere = us\ndatabase = {t.data('countries.mmdb')}\ncountry = eu DE FR\n"
              "[listener web]\ntrusted = 127.0.0.0/8\n"
              + pool(f"{eu} zone=eu name=eu", f"{us} zone=us name=us"))
    assert t.get(lb, "/", {"X-Forwarded-For": "127.0.1.7"}).text == "eu"
    assert t.get(lb, "/", {"X-Forwarded-For": "127.0.2.7"}).text == "eu"
    assert t.get(lb, "/", {"X-Forwarded-For": "127.0.9.7"}).text == "us"


def test_a_route_may_ask_for_a_country(t):
    de, other = t.backend("de"), t.backend("other")
    lb = t.lb(f"[zones]\ndatabase = {t.data('countries.mmdb')}\n[listener web]\ntrusted = 127.0.0.0/8\npool = other\n"
              f"[route german]\ncountry = de\npool = de\nset_response_header = X-Country $country\n"
              f"[pool de]\nbackend = {de}\ncheck = off\n[pool other]\nbackend = {other}\ncheck = off\n")
    answer = t.get(lb, "/", {"X-Forwarded-For": "127.0.1.7"})
    assert (answer.text, answer.get("X-Country")) == ("de", "DE")
    assert t.get(lb, "/", {"X-Forwarded-For": "127.0.2.7"}).text == "other"
    assert t.get(lb, "/").text == "other"


def test_a_slow_backend_gets_little_under_peak_ewma(t):
    def is_slow(connection):
        while True:
            connection.request()
            threading.Event().wait(0.2)
            connection.answer()
    slow = t.backend("slow", is_slow)
    fast = [t.backend(f"fast{number}") for number in range(4)]
    lb = t.lb(pool(slow, *fast, more="balance = peak_ewma\n"), workers=2)
    clients = [t.client(lb) for _ in range(4)]
    found = collections.Counter(client.get("/").text for _ in range(50) for client in clients)
    assert found["slow"] <= 10, found
