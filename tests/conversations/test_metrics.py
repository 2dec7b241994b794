"""What is counted, for whom, and under which names: listeners, routes, pools, backends that come and go."""
import json
import os
import urllib.parse

from lbtest import pool

CHECK = "check = tcp interval=300ms timeout=300ms rise=1 fall=1\n"
ROUTES = """[route api]
path = /api/
pool = app
[route moved]
path = /old
redirect = 308 /new
[route closed]
path = /closed
respond = 403
"""


def test_each_request_is_counted_once_in_every_scope_that_saw_it(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1, s2) + ROUTES)
    client = t.client(lb)
    statuses = [client.get(target).status for target in ("/api/a", "/api/b", "/old", "/closed", "/", "/else", "/api/c")]
    assert statuses == [200, 200, 308, 403, 200, 200, 200]
    lb.wait_metric(7, "lb_listener_requests_total", listener="web")
    for class_, count in (("2xx", 5), ("3xx", 1), ("4xx", 1), ("5xx", 0), ("none", 0)):
        assert lb.metric("lb_listener_requests_total", listener="web", class_=class_) == count, class_
    assert lb.metric("lb_exchanges_total", listener="web", end="done") == lb.metric("lb_exchanges_total", listener="web") == 7
    assert lb.metric("lb_route_requests_total", route="api", class_="2xx") == lb.metric("lb_route_requests_total", route="api") == 3
    assert lb.metric("lb_route_requests_total", route="moved", class_="3xx") == 1
    assert lb.metric("lb_route_requests_total", route="closed", class_="4xx") == 1
    assert lb.metric("lb_route_request_duration_seconds_count") == 5
    assert lb.metric("lb_listener_request_duration_seconds_count") == 7
    assert lb.metric("lb_requests_total", pool="app") == lb.metric("lb_request_duration_seconds_count", pool="app") == 5
    for backend in (s1, s2):
        assert lb.metric("lb_backend_requests_total", pool="app", backend=str(backend)) == len(backend.requests)
    assert len(s1.requests) + len(s2.requests) == 5
    assert lb.metric("lb_backend_connects_total") + lb.metric("lb_backend_reuses_total") == 5


def test_a_request_that_nothing_takes_is_no_route(t):
    lb = t.lb("[listener web]\n" + ROUTES.replace("pool = app", "respond = 200"))
    assert t.get(lb, "/none").status == 404
    lb.wait_metric(1, "lb_exchanges_total", listener="web", end="no_route")
    assert lb.metric("lb_route_requests_total") == 0


def test_routes_keep_their_counts_over_reloads_and_leave_when_nobody_names_them(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1) + ROUTES)
    for _ in range(3):
        t.get(lb, "/api/")
    lb.wait_metric(3, "lb_route_requests_total", route="api")
    lb.reload(pool(s1) + ROUTES)
    t.get(lb, "/api/")
    lb.wait_metric(4, "lb_route_requests_total", route="api")
    lb.reload(pool(s1))

    def routes():
        return {labels["route"] for _, labels, _ in lb.samples() if "route" in labels}
    t.wait(lambda: not routes(), "their series leave /metrics")
    lb.reload(pool(s1) + ROUTES)
    assert lb.metric("lb_route_requests_total", route="api") == 0, "a new one begins at zero"


def wait_up(t, lb, backend):
    """Until a backend has joined and passed its first check."""
    t.wait(lambda: ("lb_backend_up", str(backend), 1) in {(name, labels.get("backend"), value) for name, labels, value in lb.samples()},
           f"{backend} is up")


def replace(t, name, text):
    """Another file under the same name, in one step."""
    os.rename(t.write(name + ".new", text), t.path(name))


def test_discovered_backends_have_series_from_when_they_join_until_they_have_left(t):
    s1, s2, fixed = t.backend("s1"), t.backend("s2"), t.backend("fixed")
    t.write("members", f"{s1}\n")
    lb = t.lb(pool(fixed, more=f"discover = file {t.path('members')}\n" + CHECK), workers=2)
    wait_up(t, lb, s1)
    lb.wait_metric(2, "lb_pool_backends", pool="app", state="up")
    for _ in range(10):
        assert t.get(lb).status == 200
    lb.wait_metric(5, "lb_backend_requests_total", backend=str(s1))

    replace(t, "members", f"{s1}\n{s2} weight=2\n")
    wait_up(t, lb, s2)
    assert lb.metric("lb_backend_weight", backend=str(s2)) == 2
    app = lb.status()["pools"][0]
    assert app["discover"] == [f"file {t.path('members')}"]
    assert {each["name"]: each["member"] for each in app["backends"]} == dict.fromkeys(map(str, (fixed, s1, s2)), True)
    assert lb.metric("lb_backend_requests_total", backend=str(s1)) == 5, "it keeps its counts"

    replace(t, "members", f"{s2}\n")
    t.wait(lambda: all(labels.get("backend") != str(s1) for _, labels, _ in lb.samples()), "its series leave /metrics")
    assert lb.metric("lb_pool_retired_requests_total", pool="app") == 5, "what it answered is not forgotten"
    assert lb.metric("lb_pool_backends", pool="app", state="up") == 2
    added, removed = (lb.metric("lb_pool_membership_changes_total", pool="app", change=change) for change in ("added", "removed"))
    assert removed == 1 and added >= 1, (added, removed)

    replace(t, "members", f"{s1}\n{s2}\n")
    wait_up(t, lb, s1)
    assert lb.metric("lb_backend_requests_total", backend=str(s1)) == 0, "who comes back begins anew"
    assert lb.metric("lb_pool_retired_requests_total", pool="app") == 5


def test_a_name_without_an_address_is_shown_as_one(t):
    silent = t.free_port()
    lb = t.lb(f"[resolver default]\nnameserver = 127.0.0.1:{silent}\n" + pool("nowhere.example:80", t.backend("s1"), more=CHECK))
    app = lb.status()["pools"][0]
    assert app["unresolved"] == ["nowhere.example:80"], app
    nowhere = next(each for each in app["backends"] if each["name"] == "nowhere.example:80")
    assert nowhere["addresses"] == [] and nowhere["health"] == "down" and nowhere["check_reason"], nowhere
    assert lb.metric("lb_pool_backends", pool="app", state="down") == 1
    assert t.get(lb).text == "s1"
    t.wait(lambda: lb.metric("lb_resolver_queries_total", result="failed") > 0, "the question that nobody answers is counted", within=30)


def test_what_routes_do_is_told_by_status_and_api(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1) + f"[pool next]\nbackend = {s1}\ncheck = off\n[route split]\npath = /\npool = app weight=95\npool = next weight=5\n"
              "mirror = next 10%\n" + ROUTES)
    split, api, moved, closed = lb.status()["routes"]
    assert split["pools"] == [{"name": "app", "weight": 95}, {"name": "next", "weight": 5}] and split["mirror"] == {"name": "next", "share": 0.1}
    assert [each["name"] for each in api["pools"]] == ["app"] and (moved["redirect"], closed["respond"]) == (308, 403)
    assert json.loads(lb.admin("/api").body)["routes"] == lb.status()["routes"]
    assert json.loads(lb.admin("/api/routes/split").body) == split
    name = urllib.parse.quote(str(s1), safe="")
    assert json.loads(lb.admin("/api/pools/next").body)["backends"][0]["name"] == urllib.parse.unquote(name)
    assert lb.admin("/api/routes/none").status == 404 and lb.admin("/api/none").status == 404


def test_the_kinds_of_ends_are_told_apart(t):
    gone = t.backend("gone", lambda connection: connection.request())
    slow = t.backend("slow", lambda connection: [connection.request(), connection.take_rest()])
    text = pool(t.refusing("refusing"))
    for name, backend in (("gone", gone), ("slow", slow)):
        text += f"[pool {name}]\nbackend = {backend}\ncheck = off\nresponse_timeout = 100ms\n[route {name}]\npath = /{name}\npool = {name}\n"
    lb = t.lb("[defaults]\nmax_body = 1k\n" + text.replace("[pool app]\n", "[pool app]\nretries = 0\n").replace("check = off", "check = off\nretries = 0"))
    for target, status, end in (("/", 502, "connect_failed"), ("/gone", 502, "backend_closed"), ("/slow", 504, "response_timeout")):
        assert t.get(lb, target).status == status
        lb.wait_metric(1, "lb_exchanges_total", listener="web", end=end)
    assert t.client(lb).post("/", b"x" * 2000).status == 413
    lb.wait_metric(1, "lb_exchanges_total", listener="web", end="body_too_large")
    for failure in ("connect", "reset", "response_timeout"):
        lb.wait_metric(1, "lb_backend_failures_total", failure=failure)


def test_log_lines_are_counted(t):
    lb = t.lb(f"[log main]\npath = {t.path('access.log')}\n" + pool(t.backend("s1")))
    for _ in range(4):
        t.get(lb)
    lb.wait_metric(4, "lb_log_lines_total")
    assert lb.metric("lb_log_lines_dropped_total") == 0 and t.read("access.log").count("\n") == 4
