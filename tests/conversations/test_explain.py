"""lb explain: what it says about a request is what then happens to it."""
import re

from lbtest import pool


def explain(t, lb, *arguments):
    outcome = lb.run("-c", lb.config_path, "explain", *arguments)
    t.note(lb.who, f"explains {arguments}: {outcome!r}")
    return outcome


def last(outcome):
    return outcome.out.splitlines()[-1]


def test_it_names_the_backend_that_gets_the_next_request(t):
    backends = [t.backend("s1"), t.backend("s2"), t.backend("s3")]
    lb = t.lb(pool(*(f"{backend} name={backend.name} weight={weight}" for weight, backend in enumerate(backends, 1))), workers=2)
    for _ in range(12):
        outcome = explain(t, lb, "GET", "http://test/")
        assert outcome.status == 0 and not outcome.err, outcome
        assert explain(t, lb, "GET", "http://test/").out == outcome.out, "asking changes nothing"
        assert last(outcome) == f"backend {t.get(lb).text} of pool app is next", outcome


def test_it_takes_the_route_that_the_request_takes(t):
    names = ("admin", "exact", "canary", "office", "host", "rest")
    backends = {name: t.backend(name) for name in names}
    pools = "".join(f"[pool {name}]\nbackend = {backend} name={name}\ncheck = off\n" for name, backend in backends.items())
    conditions = {"admin": "path = /admin", "exact": "path = = /a/b", "canary": "header = X-Canary ~ ^1",
                  "office": "source = 10.0.0.0/8", "host": "host = *.example.com", "rest": "path = /"}
    lb = t.lb("[listener web]\ntrusted = 127.0.0.0/8\n" + pools +
              "".join(f"[route {name}]\n{line}\npool = {name}\n" for name, line in conditions.items()))
    for target, host, fields, source in (
            ("/admin", "test", {}, None), ("/x/..//%61dmin/x?y", "test", {}, None), ("/a/b?c", "test", {}, None),
            ("/a/b/", "test", {}, None), ("/", "test", {"X-Canary": "12"}, None), ("/", "test", {"X-Canary": "2"}, None),
            ("/", "test", {}, "10.1.2.3"), ("/", "WWW.example.com.", {}, None), ("", "test", {}, None), ("?q", "test", {}, None),
            ("/admin", "www.example.com", {"X-Canary": "1"}, "10.1.2.3")):
        arguments = [part for name, value in fields.items() for part in ("-H", f"{name}: {value}")]
        outcome = explain(t, lb, "GET", f"http://{host}{target}", *arguments, *(["--from", source] if source else []))
        sent = {**fields, **({"X-Forwarded-For": source} if source else {})}
        name = t.get(lb, target if target.startswith("/") else f"/{target}", sent, host=host).text
        assert outcome.status == 0 and last(outcome) == f"backend {name} of pool {name} is next", (target, outcome)
        assert re.search(rf"^(route)? +{name} +taken$", outcome.out, re.M), outcome
        # Every other one is named with a reason.
        for other in names:
            assert re.search(rf"^(route)? +{other} +\S", outcome.out, re.M), (other, outcome)


def test_it_says_why_other_routes_were_passed_over(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1) + "[route post]\nmethod = POST\npool = app\n[route v1]\npath = /v1/\npool = app\n"
              "[route other]\nhost = other.test\npool = app\n[route taken]\npool = app\n[route late]\npool = app\n")
    out = explain(t, lb, "GET", "http://test/v2").out
    for name, why in (("post", "method GET is not POST"), ("v1", "path /v2 does not begin with /v1/"),
                      ("other", "host is not other.test"), ("taken", "taken"), ("late", "would hold, but taken comes first")):
        assert re.search(rf"^(route)? +{name} +{re.escape(why)}$", out, re.M), (name, out)


def test_it_says_why_a_backend_is_not_used(t):
    s1, s2, spare = t.backend("s1"), t.refusing("s2"), t.backend("spare")
    lb = t.lb(pool(f"{s1} name=s1", f"{s2} name=s2", f"{spare} name=spare backup",
                   more="check = tcp interval=200ms timeout=200ms fall=1 rise=1\n"))
    lb.wait_metric(0, "lb_backend_up", backend="s2")
    out = explain(t, lb, "GET", "http://test/").out
    assert re.search(r"^backend +s1 \S+ +next: it is its turn$", out, re.M), out
    assert re.search(r"^ +s2 \S+ +down since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC: \S", out, re.M), out
    assert re.search(r"^ +spare \S+ +backup: not used while a primary is usable$", out, re.M), out
    s1.dies()
    lb.wait_metric(0, "lb_backend_up", backend="s1")
    assert last(explain(t, lb, "GET", "http://test/")) == "backend spare of pool app is next"
    spare.dies()
    lb.wait_metric(0, "lb_backend_up", backend="spare")
    outcome = explain(t, lb, "GET", "http://test/")
    assert outcome.status == 0 and last(outcome) == "503: no backend of pool app is usable", outcome
    assert t.get(lb).status == 503


def test_it_sees_the_load_of_this_moment(t):
    gate = t.gate()

    def held(connection):
        while True:
            connection.request()
            gate.wait()
            connection.answer()

    s1, s2 = t.backend("s1", held), t.backend("s2", held)
    lb = t.lb(pool(f"{s1} name=s1", f"{s2} name=s2", more="balance = least_conn\n"), workers=2)
    client = t.client(lb)
    client.ask("GET", "/")
    busy = t.wait(lambda: next((each for each in (s1, s2) if each.requests), None), "one of them has the request")
    free = s2 if busy is s1 else s1
    out = explain(t, lb, "GET", "http://test/").out
    assert re.search(rf"^(backend)? +{busy.name} \S+ +usable: 1 in flight, more load$", out, re.M), out
    assert re.search(rf"^(backend)? +{free.name} \S+ +next: 0 in flight, the least$", out, re.M), out
    gate.open()
    assert client.answer().status == 200


def test_it_says_what_answers_without_a_backend(t):
    page = t.write("down.html", "down for a while")
    lb = t.lb("[listener web]\n[route secure]\npath = /secure\nredirect = 308 https://$host$request_uri\n"
              f"[route down]\npath = /down\nrespond = 503 file={page}\n[route gone]\npath = /gone\nrespond = 410\n")
    for path, wanted, status in (("/secure", "redirect 308 to https://$host$request_uri", 308),
                                 ("/down", f"answer 503 with {page}: 16 bytes, text/html", 503),
                                 ("/gone", "answer 410 with a page of lb's own", 410)):
        outcome = explain(t, lb, "GET", f"http://test{path}")
        assert outcome.status == 0 and last(outcome) == wanted, outcome
        assert t.get(lb, path).status == status
    outcome = explain(t, lb, "GET", "http://test/else")
    assert outcome.status == 1 and "404: no route, and listener web has no pool" in outcome.err, outcome
    assert t.get(lb, "/else").status == 404


def test_it_shows_the_shares_of_a_split(t):
    a, b = t.backend("a"), t.backend("b")
    lb = t.lb(f"[listener web]\n[pool a]\nbackend = {a}\ncheck = off\n[pool b]\nbackend = {b}\ncheck = off\n"
              "[route r]\npool = a weight=3\npool = b weight=1\n")
    outcome = explain(t, lb, "GET", "http://test/")
    assert outcome.status == 0 and last(outcome) == "one of 2 pools, by their weights", outcome
    assert "of route r: 3 of 4 requests" in outcome.out and "of route r: 1 of 4 requests" in outcome.out, outcome
    taken = [t.get(lb).text for _ in range(8)]
    assert (taken.count("a"), taken.count("b")) == (6, 2)


def test_what_lb_would_refuse_is_refused_with_the_same_status(t):
    lb = t.lb("[listener web]\nmax_header = 1k\n" + pool(t.backend("s1")))
    for method, url, fields, target in (
            ("GET", "http://test/a b", [], None), ("GET", "http://te@st/", [], None), ("TRACE", "http://test/", [], "/"),
            ("GET", "http://test/", ["no colon here: x"], None), ("GET", f"http://test/{'x' * 2000}", [], "/" + "x" * 2000)):
        outcome = explain(t, lb, method, url, *(part for field in fields for part in ("-H", field)))
        said = re.search(r"refused with (\d+): \S", outcome.err)
        assert outcome.status == 1 and said, outcome
        if target:
            client = t.client(lb)
            client.ask(method, target)
            assert client.answer().status == int(said[1]), outcome


def test_it_knows_the_limit_of_bodies(t):
    lb = t.lb("[listener web]\npool = app\nmax_body = 2k\n" + pool(t.backend("s1")) + "[route up]\npath = /up\npool = app\nmax_body = 1k\n")
    for path, size, status in (("/", 2048, 200), ("/", 2049, 413), ("/up", 1024, 200), ("/up", 1025, 413)):
        outcome = explain(t, lb, "POST", f"http://test{path}", "-H", f"Content-Length: {size}")
        assert outcome.status == (status != 200) and ("refused with 413: " in outcome.err) == (status == 413), outcome
        assert t.client(lb).post(path, b"x" * size).status == status


def test_a_request_that_goes_no_further_is_answered_by_lb(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\npool = app\n" + pool(s1) + "[route gone]\npath = /gone\nrespond = 410\n")
    client = t.client(lb)
    for path, hops, wanted, status in (("/", 0, "answer 200 of lb's own: Max-Forwards is 0", 200),
                                       ("/", 1, "backend [0-9.:]+ of pool app is next", 200),
                                       ("/gone", 0, "answer 410 with a page of lb's own", 410)):
        outcome = explain(t, lb, "OPTIONS", f"http://test{path}", "-H", f"Max-Forwards: {hops}")
        assert outcome.status == 0 and re.fullmatch(wanted, last(outcome)), outcome
        client.ask("OPTIONS", path, {"Max-Forwards": str(hops)})
        assert client.answer().status == status, (path, hops)
    assert len(s1.requests) == 1


def test_it_takes_options_of_a_host_for_what_it_is(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\npool = app\n" + pool(s1) + "[route paths]\npath = /\nrespond = 410\n")
    outcome = explain(t, lb, "OPTIONS", "http://test")
    assert "OPTIONS * from" in outcome.out and last(outcome).startswith("backend "), outcome
    client = t.client(lb)
    client.send("OPTIONS http://test HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.answer(to="OPTIONS").status == 200 and s1.requests[-1].target == "*"


def test_the_path_it_says_is_the_path_that_backends_get(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\n" + pool(s1) + "[route a]\npath = /a\npool = app\nrewrite = ^/a/(.*) /t/42/$1\n"
              "[route long]\npath = /long\npool = app\nrewrite = ^(.*) /$1$1$1$1$1\n")
    client = t.client(lb)
    for path in ("/a/x?q", "/%61/x", "//a/x", "/a/../a/x", "/a/b%2Fc", "/a/%2e%2e/a/b%3Fc", "/b/%2e%2E//a/%25"):
        client.get(path)
        outcome = explain(t, lb, "GET", f"http://test{path}")
        said = re.search(r"^rewrite +\^/a/\(\.\*\) to /t/42/\$1: (?:taken as compared, )?(\S+)$", outcome.out, re.M)
        assert said and said[1] == s1.requests[-1].target, (path, s1.requests[-1].target, outcome)
    client.get("/a")
    outcome = explain(t, lb, "GET", "http://test/a")
    assert "the pattern is not found, nothing is changed" in outcome.out and s1.requests[-1].target == "/a", outcome
    path = "/long/" + "x" * 2000
    outcome = explain(t, lb, "GET", f"http://test{path}")
    assert outcome.status == 1 and "refused with 414" in outcome.err and client.get(path).status == 414, outcome


def test_with_several_listeners_one_is_chosen_by_name(t):
    second = t.socket()
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(f"[listener second]\nbind = {second}\npool = other\n[listener web]\n"
              f"[pool other]\nbackend = {s2} name=s2\ncheck = off\n" + pool(f"{s1} name=s1"), sockets=[second])
    assert last(explain(t, lb, "GET", "http://test/", "--listener", "web")) == "backend s1 of pool app is next"
    assert last(explain(t, lb, "GET", "http://test/", "--listener", "second")) == "backend s2 of pool other is next"
    outcome = explain(t, lb, "GET", "http://test/", "--listener", "third")
    assert outcome.status == 1 and "there is no listener third; there are second web" in outcome.err, outcome
    outcome = explain(t, lb, "GET", "http://test/")
    assert outcome.status == 1 and "--listener" in outcome.err, outcome


def test_it_speaks_of_what_runs_and_not_of_what_the_file_says(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(f"{s1} name=s1"))
    lb.configure(pool(f"{s2} name=s2"))
    assert last(explain(t, lb, "GET", "http://test/")) == "backend s1 of pool app is next"
    lb.reload()
    assert last(explain(t, lb, "GET", "http://test/")) == "backend s2 of pool app is next"


def test_what_a_terminal_would_obey_is_escaped(t):
    lb = t.lb(pool(t.backend("s1")) + "[route r]\npath = /x\npool = app\n")
    out = explain(t, lb, "GET", "http://test/%1b[2J%0aroute").out
    assert "\x1b" not in out and "\\x1b[2J\\x0aroute" in out, out


def test_wrong_usage_ends_with_2_and_no_running_lb_with_1(t):
    lb = t.lb(pool(t.backend("s1")))
    good = ["GET", "http://test/"]
    for arguments in ([], ["GET"], ["GET", "test"], ["GET", "/"], [*good, "-H", "nocolon"], [*good, "--from", "x"], [*good, "more"],
                      ["GET", "http://test/#x"], [*good, "-H", "X: a\tb"], ["GET", "http://test/" + "x" * 5000]):
        outcome = explain(t, lb, *arguments)
        assert outcome.status == 2 and outcome.err.strip() and not outcome.out, outcome
    nobody = t.write("nobody.ini", f"[global]\ncontrol = {t.path('nobody.sock')}\n[listener web]\nbind = 127.0.0.1:1\n")
    outcome = t.run("-c", nobody, "explain", "GET", "http://test/")
    assert outcome.status == 1 and "no lb is running" in outcome.err, outcome
