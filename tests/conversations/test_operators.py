"""What an operator, or a service about itself, changes while lb runs: drain, maint, weight, add, remove, register."""
import json
import os
import re
import threading

from lbtest import Client, pool


def backend(lb, *arguments):
    outcome = lb.run("-c", lb.config_path, "backend", *arguments)
    lb.story.note(lb.who, f"backend {' '.join(arguments)}: {outcome!r}")
    return outcome


def done(lb, *arguments):
    outcome = backend(lb, *arguments)
    assert outcome.status == 0, outcome
    return outcome


def two(t, more="", **options):
    s1, s2 = t.backend("s1"), t.backend("s2")
    return s1, s2, t.lb(pool(f"{s1} name=s1", f"{s2} name=s2", more=more), **options)


def test_drain_with_wait_under_load_loses_nothing(t):
    gate = t.gate()

    def holds(connection):
        while True:
            if connection.request().target == "/hold":
                gate.wait()
            connection.answer()
    s1, s2 = t.backend("s1", holds), t.backend("s2", holds)
    lb = t.lb(pool(f"{s1} name=s1", f"{s2} name=s2"), workers=2)
    held = t.client(lb)
    held.ask("GET", "/hold")
    t.wait(lambda: s1.requests or s2.requests, "somebody holds it")
    home = "s1" if s1.requests else "s2"
    stop, statuses = threading.Event(), []

    def load():
        client = t.client(lb)
        while not stop.is_set():
            statuses.append(client.get("/").status)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    outcome = []
    drains = threading.Thread(target=lambda: outcome.append(backend(lb, "drain", f"app/{home}", "--wait")))
    drains.start()
    lb.wait_metric(1, "lb_backend_operator_state", pool="app", backend=home)
    t.wait(lambda: lb.metric("lb_backend_in_flight", pool="app", backend=home) == 1, "only what was open is left")
    assert not outcome, "it waits"
    gate.open()
    drains.join()
    stop.set()
    for thread in threads:
        thread.join()
    assert outcome[0].status == 0, outcome[0]
    assert held.answer().status == 200
    assert set(statuses) == {200}
    assert home not in {t.get(lb).text for _ in range(6)}


def test_a_wait_may_end_before_the_backend_is_empty(t):
    gate = t.gate()

    def holds(connection):
        connection.request()
        gate.wait()
        connection.answer()
    s1 = t.backend("s1", holds)
    lb = t.lb(pool(f"{s1} name=s1"))
    held = t.client(lb)
    held.ask("GET", "/")
    t.wait(lambda: s1.requests, "it is held")
    outcome = backend(lb, "drain", "app/s1", "--wait=300ms")
    assert outcome.status != 0 and "1" in outcome.text and "in flight" in outcome.text
    gate.open()
    assert held.answer().status == 200


def test_maint_and_ready(t):
    _, _, lb = two(t)
    done(lb, "maint", "app/s1")
    assert {t.get(lb).text for _ in range(6)} == {"s2"}
    lb.wait_metric(2, "lb_backend_operator_state", pool="app", backend="s1")
    done(lb, "ready", "app/s1")
    assert {t.get(lb).text for _ in range(6)} == {"s1", "s2"}


def test_a_weight_is_changed_and_given_back(t):
    _, _, lb = two(t)
    done(lb, "weight", "app/s1", "3")
    client = t.client(lb)
    assert [client.get("/").text for _ in range(8)].count("s1") == 6
    done(lb, "weight", "app/s1", "default")
    assert [client.get("/").text for _ in range(8)].count("s1") == 4


def test_backends_are_added_and_removed(t):
    _, _, lb = two(t)
    s3 = t.backend("s3")
    done(lb, "add", "app", f"{s3} name=s3 weight=2")
    client = t.client(lb)
    t.wait(lambda: [client.get("/").text for _ in range(8)].count("s3") == 4, "it serves by its weight")
    done(lb, "remove", "app/s3")
    t.wait(lambda: "s3" not in {client.get("/").text for _ in range(6)}, "it is gone")
    refused = backend(lb, "remove", "app/s1")
    assert refused.status != 0 and "maint" in refused.text


def test_mistakes_are_explained(t):
    _, _, lb = two(t)
    for arguments, word in ((("drain", "app/s9"), "s9"), (("drain", "apq/s1"), "app"), (("drain", "s1"), "POOL/NAME"),
                            (("weight", "app/s1", "0"), "1"), (("add", "app", "nowhere"), "port"), (("dance", "app/s1"), "drain"), (("drain", "ap/s1"), "did you mean 'app'")):
        outcome = backend(lb, *arguments)
        assert outcome.status != 0 and word in outcome.text, (arguments, outcome)


def test_changes_outlive_reloads_and_restarts_and_can_be_exported(t):
    s1, s2, lb = two(t)
    s3 = t.backend("s3")
    done(lb, "maint", "app/s1")
    done(lb, "add", "app", f"{s3} name=s3")
    done(lb, "weight", "app/s2", "5")
    lb.reload()

    def holds(one):
        client = t.client(one)
        found = [client.get("/").text for _ in range(12)]
        return found.count("s2") == 10 and found.count("s3") == 2
    t.wait(lambda: holds(lb), "a reload keeps them")
    text = done(lb, "export").out
    assert "[pool app]" in text and f"backend = {s3} name=s3" in text and "s1" in text and "maint" in text, text
    lb.signal("TERM")
    assert lb.wait_status() == 0
    again = t.lb(argv=["-c", lb.config_path], sockets=[lb.listener, lb.admin_socket])
    again.listener, again.admin_socket, again.config_path = lb.listener, lb.admin_socket, lb.config_path
    again.wait_ready()
    t.wait(lambda: holds(again), "a restart keeps them")
    assert s1 and s2


def test_a_broken_state_file_stops_nothing(t):
    s1 = t.backend("s1")
    # Each its own file: one that lives writes its own state in place of a broken one.
    for i, text in enumerate(("{", '{"version": 99}', "[" * 10000, '{"version": 1, "backends": 7}', "\0" * 100)):
        t.write(f"state{i}.json", text)
        lb = t.lb(f"[global]\nstate_file = {t.path(f'state{i}.json')}\n" + pool(s1))
        assert t.get(lb).status == 200
        lb.wait_log(f"state{i}.json")


def test_a_state_file_that_is_a_directory_stays_where_it_is(t):
    os.makedirs(t.path("kept/inside"))
    os.chmod(t.directory, 0o777)
    lb = t.lb(f"[global]\nstate_file = {t.path('kept')}\n" + pool(f"{t.backend('s1')} name=s1"))
    outcome = done(lb, "maint", "app/s1")
    assert "no regular file" in outcome.text, outcome
    assert os.path.isdir(t.path("kept/inside")) and not os.path.exists(t.path("kept.bad"))


def api(lb, method, path, body=None, token="secret-token-0123456789"):
    client = Client(lb.story, lb.admin_socket.address, "operator")
    fields = {"Connection": "close"}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    if body is not None:
        fields["Content-Type"] = "application/json"
    try:
        client.ask(method, path, fields, body=json.dumps(body).encode() if isinstance(body, dict) else body)
        return client.answer(to=method)
    finally:
        client.close()


def with_token(t, more="", backends=()):
    t.write("token", "secret-token-0123456789\n")
    os.chmod(t.path("token"), 0o600)
    import shutil
    try:
        shutil.chown(t.path("token"), "nobody")
    except (LookupError, PermissionError):
        pass
    return t.lb(f"[admin]\ntoken_file = {t.path('token')}\n" + pool(*backends, more=more))


def test_a_service_registers_itself_and_is_gone_when_its_ttl_runs_out(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = with_token(t, backends=[f"{s1} name=s1"])
    answer = api(lb, "PUT", "/api/v1/pools/app/backends/s2", {"address": str(s2), "weight": 1, "ttl": "2s"})
    assert answer.status in (200, 201), answer.text
    t.wait(lambda: t.get(lb).text == "s2", "it serves")
    for _ in range(3):
        assert api(lb, "PUT", "/api/v1/pools/app/backends/s2", {"address": str(s2), "weight": 1, "ttl": "2s"}).status in (200, 201)
    t.wait(lambda: {t.get(lb).text for _ in range(4)} == {"s1"}, "its time is over")
    assert api(lb, "PUT", "/api/v1/pools/app/backends/s2", {"address": str(s2), "ttl": "60s"}).status in (200, 201)
    t.wait(lambda: t.get(lb).text == "s2", "it is back")
    assert api(lb, "PATCH", "/api/v1/pools/app/backends/s2", {"state": "drain"}).status == 200
    t.wait(lambda: {t.get(lb).text for _ in range(4)} == {"s1"}, "it is drained")
    assert api(lb, "DELETE", "/api/v1/pools/app/backends/s2").status in (200, 204)
    lb.wait_log("s2", "left")


def test_a_pool_may_begin_empty_where_services_register(t):
    lb = with_token(t)
    assert t.get(lb).status == 503
    s1 = t.backend("s1")
    assert api(lb, "PUT", "/api/v1/pools/app/backends/s1", {"address": str(s1), "ttl": "60s"}).status in (200, 201)
    t.wait(lambda: t.get(lb).status == 200, "it serves")


def test_changes_need_the_token(t):
    s1 = t.backend("s1")
    lb = with_token(t, backends=[f"{s1} name=s1"])
    body = {"address": "127.0.0.1:1", "ttl": "60s"}
    assert api(lb, "PUT", "/api/v1/pools/app/backends/x", body, token=None).status == 401
    assert api(lb, "PUT", "/api/v1/pools/app/backends/x", body, token="secret-token-012345678").status in (401, 403)
    plain = t.lb(pool(s1))
    assert api(plain, "PUT", "/api/v1/pools/app/backends/x", body).status == 403


def test_what_makes_no_sense_is_refused(t):
    s1 = t.backend("s1")
    lb = with_token(t, backends=[f"{s1} name=s1"])
    path = "/api/v1/pools/app/backends/x"
    for body in (b"{", b"[]", b"{}", {"address": "nowhere", "ttl": "60s"}, {"address": "127.0.0.1:1"},
                 {"address": "127.0.0.1:1", "ttl": "60s", "weight": "many"}, {"address": "127.0.0.1:1", "ttl": "60s", "wait": 1}):
        answer = api(lb, "PUT", path, body)
        assert answer.status == 400 and "error" in json.loads(answer.text), (body, answer.text)
    assert api(lb, "PUT", "/api/v1/pools/nope/backends/x", {"address": "127.0.0.1:1", "ttl": "60s"}).status == 404
    assert api(lb, "PUT", "/api/v1/pools/app/backends/s1", {"address": "127.0.0.1:1", "ttl": "60s"}).status == 409
    assert api(lb, "PUT", path, b"{" + b" " * 100000 + b"}").status == 413


def test_a_change_of_state_and_weight_is_one(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = with_token(t, backends=[f"{s1} name=s1", f"{s2} name=s2"])
    answer = api(lb, "PATCH", "/api/v1/pools/app/backends/s1", {"state": "maint", "weight": 3})
    assert answer.status == 200 and json.loads(answer.text)["result"] == "pool app: backend s1 is in maint and has weight 3", answer.text
    assert {t.get(lb).text for _ in range(6)} == {"s2"}
    assert api(lb, "PATCH", "/api/v1/pools/app/backends/s1", {"state": "ready"}).status == 200
    client = t.client(lb)
    assert [client.get("/").text for _ in range(8)].count("s1") == 6, "the weight stayed"
    assert api(lb, "PATCH", "/api/v1/pools/app/backends/s1", {"weight": "default"}).status == 200
    assert [client.get("/").text for _ in range(8)].count("s1") == 4
    exported = json.loads(api(lb, "GET", "/api/v1/pools/app").text)["backends"][0]
    assert (exported["state"], exported["weight"]) == ("ready", 1)


def test_an_odd_name_is_told_what_is_odd(t):
    lb = with_token(t, backends=[f"{t.backend('s1')} name=s1"])
    body = {"address": "127.0.0.1:1", "ttl": "60s"}
    for name, word in (("", "empty"), ("n" * 129, "longer than 128"), ("%0a", "control byte"), ("a%", "hex digits"), ("%zz", "hex digits"), ("%ff", "UTF-8")):
        answer = api(lb, "PUT", f"/api/v1/pools/app/backends/{name}", body)
        assert answer.status == 400 and word in json.loads(answer.text)["error"], (name, answer.text)


def test_a_slash_belongs_to_the_name_it_is_written_in(t):
    s1 = t.backend("s1")
    lb = with_token(t, backends=[f"{s1} name=s1"])
    assert api(lb, "PUT", "/api/v1/pools/app/backends/a%2Fb", {"address": "127.0.0.1:1", "ttl": "60s"}).status == 200
    answer = api(lb, "PATCH", "/api/v1/pools/app/backends/a%2Fb", {"state": "maint"})
    assert answer.status == 200 and "backend a/b is in maint" in answer.text, answer.text


def test_the_load_of_a_pool_says_how_many_backends_it_wants(t):
    gate = t.gate()

    def holds(connection):
        while True:
            if connection.request().target == "/hold":
                gate.wait()
            connection.answer()
    s1, s2 = t.backend("s1", holds), t.backend("s2", holds)
    lb = t.lb(pool(s1, s2, more="target_inflight = 2\n"))
    held = [t.client(lb) for _ in range(5)]
    for client in held:
        client.ask("GET", "/hold")

    def load():
        return json.loads(lb.admin("/api/v1/pools/app/load").text)
    t.wait(lambda: load()["backends"]["usable"] == 2, "two are usable")
    assert load()["target_inflight"] == 2
    gate.open()
    for client in held:
        assert client.answer().status == 200
    client = t.client(lb)
    t.wait(lambda: client.get("/").status == 200 and load()["rate"] > 0, "the rate is seen")
    assert load()["latency"]["mean"] is not None and load()["wanted_backends"] is not None


def test_status_is_a_table_for_people_and_json_for_programs(t):
    _, _, lb = two(t)
    done(lb, "drain", "app/s2")
    table = lb.run("-c", lb.config_path, "status")
    assert table.status == 0
    assert re.search(r"s1 +up", table.out) and re.search(r"s2 +.*drain", table.out), table.out
    found = lb.run("-c", lb.config_path, "status", "--json")
    pools = json.loads(found.out)["pools"]
    states = {each["name"]: each["state"] for each in pools[0]["backends"]}
    assert states == {"s1": "ready", "s2": "drain"}
