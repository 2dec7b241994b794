"""Which route a request takes, and that matching never changes a byte of what the backend gets."""


def rooms(t, routes, listeners="", names=None, **more):
    """A balancer with these routes, and a pool with one backend for each name they use; both have that name. The listener
    has no pool of its own: 404 says that no route held. Returns (lb, {name: backend})."""
    names = names or sorted({line.split()[2] for line in routes.splitlines() if line.strip().startswith("pool =")})
    backends = {name: t.backend(name) for name in names}
    pools = "".join(f"[pool {name}]\nbackend = {backend}\ncheck = off\n" for name, backend in backends.items())
    return t.lb(listeners + pools + routes, **more), backends


def route(name, *conditions):
    """[route NAME] into the pool of that name."""
    return f"[route {name}]\npool = {name}\n" + "".join(f"{line}\n" for line in conditions)


def who(answer):
    return answer.text if answer.status == 200 else answer.status


PATHS = [
    # plain
    ("/admin", "admin"), ("/admin/", "admin"), ("/admin/x?y=/../..", "admin"), ("/admin?x", "admin"),
    ("/administrator", "rest"), ("/admin.html", "rest"), ("/Admin", "rest"), ("/", "rest"),
    ("/dir/", "dir"), ("/dir/x", "dir"), ("/dir", "rest"), ("/dirx/", "rest"),
    ("/exact/page", "exact"), ("/exact/page?q", "exact"), ("/exact/page/", "rest"), ("/exact/pages", "rest"),
    ("/x/logo.png", "regex"), ("/x/logo.png?v=1", "regex"), ("/x/logo.png/x", "rest"), ("/x?logo.png", "rest"),
    # encoded
    ("/%61dmin", "admin"), ("/%61%64%6D%69%6e/x", "admin"), ("/admin%2Fx", "admin"), ("/admin%2fx", "admin"),
    ("/dir%2F", "dir"), ("/exact%2Fpage", "exact"), ("/x/logo%2Epng", "regex"), ("/x/logo.pn%67", "regex"),
    ("/admin%3Fx", "rest"), ("/%41dmin", "rest"),
    # encoded twice is decoded once
    ("/%2561dmin", "rest"), ("/%252e%252e/admin", "rest"), ("/dir/%252e%252e%252fadmin", "dir"),
    # dots
    ("/./admin", "admin"), ("/dir/../admin", "admin"), ("/dir/x/../../admin/y", "admin"), ("/../admin", "admin"),
    ("/../../../admin", "admin"), ("/dir/..", "rest"), ("/dir/.", "dir"), ("/admin/..", "rest"), ("/admin/../dir/x", "dir"),
    ("/admin/.", "admin"), ("/exact/./page", "exact"), ("/exact/x/../page", "exact"), ("/exact/page/..", "rest"),
    ("/%2e/admin", "admin"), ("/dir/%2e%2e/admin", "admin"), ("/dir/.%2E/admin", "admin"), ("/dir/%2e%2e%2fadmin", "admin"),
    ("/dir%2f..%2fadmin", "admin"), ("/dir/..%2Fadmin", "admin"), ("/admin/%2e%2e/dir/", "dir"),
    ("/dir/...", "dir"), ("/dir/..x", "dir"), ("/dir/.admin", "dir"), ("/dir/..;/admin", "dir"),
    # slashes
    ("//admin", "admin"), ("///admin//x", "admin"), ("/dir//x", "dir"), ("/exact//page", "exact"), ("/%2Fadmin", "admin"),
    ("/dir//../admin", "admin"), ("/dir/x//..//../admin", "admin"), ("//", "rest"),
    # a backslash is a byte, and so is what only looks like a slash or a dot
    ("/dir/..\\admin", "dir"), ("/dir/..%5cadmin", "dir"), ("\\admin", None), ("/%c0%ae%c0%ae/admin", "rest"),
    ("/dir/%c0%ae%c0%ae/admin", "dir"), ("/dir/..%c0%afadmin", "dir"),
    # escapes that are none stay
    ("/admin%", "rest"), ("/admin/%zz", "admin"), ("/%6", "rest"), ("/%u0061dmin", "rest"), ("/%%61dmin", "rest"),
    ("/admin%00", "rest"), ("/admin/%00", "admin"), ("/dir/%00/../../admin", "admin"),
    # an absolute target is cut to its path
    ("http://test/dir/../admin", "admin"), ("http://test//admin", "admin"), ("http://test", "rest"),
    ("http://test/exact/page", "exact"),
]


def test_a_path_is_matched_by_its_compared_form_and_forwarded_as_it_came(t):
    lb, backends = rooms(t, route("admin", "path = /admin") + route("dir", "path = /dir/") +
                         route("exact", "path = = /exact/page") + route("regex", r"path = ~ \.png$") + route("rest"))
    client = t.client(lb)
    for target, wanted in PATHS:
        if wanted is None:
            assert t.get(lb, target).status == 400, target
            continue
        answer = client.get(target)
        assert who(answer) == wanted, (target, wanted, answer)
        received = backends[wanted].requests[-1].target
        assert received == (target.removeprefix("http://test") or "/"), (target, received)
    asked = sum(len(backend.requests) for backend in backends.values())
    assert asked == sum(wanted is not None for _, wanted in PATHS), "each request went to one backend"


def test_the_query_takes_no_part_in_the_path_and_is_forwarded_as_it_came(t):
    lb, backends = rooms(t, route("a", "path = /a") + route("rest"))
    client = t.client(lb)
    for target, wanted in (("/a?/b", "a"), ("/b?/../a", "rest"), ("/a?%2e%2e//x", "a"), ("/b/..?/a", "rest"), ("/b/../a?x?y", "a")):
        assert who(client.get(target)) == wanted, target
        assert backends[wanted].requests[-1].target == target


def test_no_route_and_no_pool_is_404_and_a_pool_of_the_listener_takes_the_rest(t):
    lb, _ = rooms(t, route("a", "path = /a"))
    assert t.get(lb, "/a").text == "a" and t.get(lb, "/b").status == 404
    app, a = t.backend("app"), t.backend("a")
    lb = t.lb(f"[pool app]\nbackend = {app}\n[pool a]\nbackend = {a}\ncheck = off\n" + route("a", "path = /a"))
    assert t.get(lb, "/a").text == "a" and t.get(lb, "/b").text == "app"


def test_hosts_are_matched_exact_then_by_the_longest_wildcard_then_none(t):
    lb, backends = rooms(t, route("none") + route("wide", "host = *.example.com") +
                         route("narrow", "host = *.api.example.com") + route("six", "host = [2001:db8::1]") +
                         route("exact", "host = api.example.com other.example.org"))
    client = t.client(lb)
    for host, wanted in (("api.example.com", "exact"), ("API.Example.Com", "exact"), ("api.example.com:8080", "exact"),
                         ("api.example.com.", "exact"), ("other.example.org", "exact"), ("v1.api.example.com", "narrow"),
                         ("a.b.api.example.com:80", "narrow"), ("www.example.com", "wide"), ("example.com", "none"),
                         ("xexample.com", "none"), ("apixexample.com", "none"), ("example.org", "none"), ("127.0.0.1", "none"),
                         ("[2001:DB8:0::1]:80", "six"), ("[2001:db8::2]", "none")):
        assert who(client.get("/", host=host)) == wanted, host
        assert backends[wanted].requests[-1].get("Host") == host, "the Host is forwarded as it came"


def test_the_host_of_an_absolute_target_counts_and_not_the_field(t):
    lb, _ = rooms(t, route("a", "host = a.test") + route("b", "host = b.test"))
    client = t.client(lb)
    assert client.get("http://a.test/x", host="b.test").text == "a"
    assert client.get("/x", host="b.test").text == "b"


def test_a_request_without_host_takes_only_routes_without_host(t):
    lb, _ = rooms(t, route("named", "host = a.test *.a.test") + route("none"))
    assert t.get(lb, "/", version="1.0", host=None).text == "none"
    assert t.get(lb, "/", version="1.0", host="a.test").text == "named"


def test_when_no_route_of_the_better_host_holds_the_next_host_is_asked(t):
    lb, _ = rooms(t, route("none", "path = /c") + route("wild", "host = *.test", "path = /b") +
                  route("exact", "host = a.test", "path = /a"))
    client = t.client(lb)
    assert [who(client.get(path, host="a.test")) for path in ("/a", "/b", "/c", "/d")] == ["exact", "wild", "none", 404]


def test_the_first_route_in_the_file_wins(t):
    lb, _ = rooms(t, route("wide", "path = /a") + route("narrow", "path = /a/b") + route("exact", "path = = /a/b"))
    assert t.get(lb, "/a/b").text == "wide"
    lb, _ = rooms(t, route("exact", "path = = /a/b") + route("regex", "path = ~ ^/a/b") + route("narrow", "path = /a/b") +
                  route("wide"))
    client = t.client(lb)
    assert [client.get(path).text for path in ("/a/b", "/a/bc", "/a/b/", "/a")] == ["exact", "regex", "regex", "wide"]


def test_methods_are_compared_exactly(t):
    lb, _ = rooms(t, route("write", "method = POST PUT") + route("own", "method = PURGE") + route("rest"))
    client = t.client(lb)
    assert client.post("/", b"x").text == "write"
    assert client.get("/").text == "rest"
    for method, wanted in (("PUT", "write"), ("PURGE", "own"), ("DELETE", "rest"), ("post", "rest")):
        client.ask(method, "/", body=b"")
        assert client.answer().text == wanted, method


def raw(t, lb, *lines, target="/"):
    """A request with these field lines, doubled ones too."""
    client = t.client(lb)
    client.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n")
    return who(client.answer(to="GET"))


def test_headers_hold_by_any_line_of_that_name_and_all_of_them_must(t):
    lb, _ = rooms(t, route("both", "header = X-A = 1", "header = x-b") + route("canary", "header = X-Canary ~ ^(on|1)$") +
                  route("rest"))
    assert raw(t, lb, "X-A: 1", "X-B: anything") == "both"
    assert raw(t, lb, "x-b:", "x-a: 2", "X-A: 1") == "both"
    assert raw(t, lb, "X-A: 1") == "rest"
    assert raw(t, lb, "X-A: 1, 1", "X-B: y") == "rest"
    assert raw(t, lb, "x-canary: on") == "canary"
    assert raw(t, lb, "X-Canary: ON") == "rest" and raw(t, lb, "X-Canary: one") == "rest"
    assert raw(t, lb, "Connection: X-Canary", "X-Canary: 1") == "canary"


def test_cookies_are_told_apart_by_name(t):
    lb, _ = rooms(t, route("beta", "cookie = beta = 1") + route("quoted", r'cookie = q = "\"a b\""') +
                  route("any", "cookie = session") + route("rest"))
    assert raw(t, lb, "Cookie: beta=1") == "beta" and raw(t, lb, "Cookie: a=b; beta=1; c=d") == "beta"
    assert raw(t, lb, "Cookie: a=b", "Cookie: beta=1") == "beta" and raw(t, lb, "Cookie: beta=0; beta=1") == "beta"
    assert raw(t, lb, 'Cookie: q="a b"') == "quoted" and raw(t, lb, "Cookie: q=a b") == "rest"
    assert raw(t, lb, "Cookie: session=") == "any" and raw(t, lb, "Cookie: session") == "rest"
    for line in ("Cookie: Beta=1", "Cookie: xbeta=1", "Cookie: beta=10", "Cookie: x=beta=1", "X-Cookie: beta=1"):
        assert raw(t, lb, line) == "rest", line


def test_parameters_are_compared_decoded_and_forwarded_as_they_came(t):
    lb, backends = rooms(t, route("two", "query = version = 2") + route("blank", 'query = "n v" = "a b"') +
                         route("number", "query = id ~ ^[0-9]+$") + route("flag", "query = debug") + route("rest"))
    client = t.client(lb)
    for target, wanted in (("/?version=2", "two"), ("/?a&version=2&b", "two"), ("/?%76ersion=%32", "two"),
                           ("/?version=1&version=2", "two"), ("/?n+v=a%20b", "blank"), ("/?n%20v=a+b", "blank"),
                           ("/?id=4%32", "number"), ("/?id=x&id=7", "number"), ("/?debug", "flag"), ("/?&&debug=", "flag"),
                           ("/?version=22", "rest"), ("/?Version=2", "rest"), ("/?x=version=2", "rest"), ("/?id=", "rest"),
                           ("/", "rest"), ("/?", "rest"), ("/?version%3D2", "rest")):
        assert who(client.get(target)) == wanted, target
        assert backends[wanted].requests[-1].target == target


def test_sources_are_the_client_and_behind_trusted_senders_the_one_they_name(t):
    routes = (route("office", "source = 10.0.0.0/8", "source = 2001:db8::/32") + route("here", "source = 127.0.0.1") + route("rest"))
    lb, _ = rooms(t, routes)
    assert t.get(lb).text == "here"
    assert t.get(lb, fields={"X-Forwarded-For": "10.1.2.3"}).text == "here", "nobody is trusted"
    lb, _ = rooms(t, routes, listeners="[listener web]\ntrusted = 127.0.0.0/8\n")
    assert t.get(lb).text == "here"
    for address, wanted in (("10.1.2.3", "office"), ("2001:db8::9", "office"), ("192.0.2.1", "rest"),
                            ("10.1.2.3, 192.0.2.1", "rest")):
        assert t.get(lb, fields={"X-Forwarded-For": address}).text == wanted, address


def test_a_route_of_one_listener_is_not_for_the_other(t):
    second = t.socket()
    lb, _ = rooms(t, route("web", "listener = web", "path = /a") + route("all", "path = /a") + route("second", "listener = second"),
                  listeners=f"[listener web]\n[listener second]\nbind = {second}\n", sockets=[second])
    assert t.get(lb, "/a").text == "web" and t.get(lb, "/b").status == 404
    assert t.get(second, "/a").text == "all" and t.get(second, "/b").text == "second"


def test_the_asterisk_of_options_has_no_path(t):
    lb, backends = rooms(t, route("path", "path = /") + route("regex", "path = ~ .") + route("rest", "method = OPTIONS"))
    client = t.client(lb)
    for target, wanted, forwarded in (("*", "rest", "*"), ("/", "path", "/"), ("http://test", "rest", "*"),
                                      ("http://test/", "path", "/")):
        client.ask("OPTIONS", target)
        assert client.answer().text == wanted, target
        assert backends[wanted].requests[-1].target == forwarded


def test_each_request_of_a_connection_is_matched_by_itself(t):
    lb, backends = rooms(t, route("a", "path = /a") + route("b", "path = /b"))
    client = t.client(lb)
    client.send("".join(f"GET /{name} HTTP/1.1\r\nHost: test\r\n\r\n" for name in "abcab"))
    assert [who(client.answer(to="GET")) for _ in range(5)] == ["a", "b", 404, "a", "b"]
    assert [len(backends[name].requests) for name in "ab"] == [2, 2]


def test_a_thousand_routes_are_told_apart(t):
    names = ("even", "odd")
    text = "".join(f"[route r{i}]\nhost = h{i % 10}.test\npath = /service-{i}/\npool = {names[i % 2]}\n" for i in range(1000))
    lb, _ = rooms(t, text, names=names)
    client = t.client(lb)
    for i in (0, 1, 498, 999):
        assert client.get(f"/service-{i}/x", host=f"h{i % 10}.test").text == names[i % 2]
        assert client.get(f"/service-{i}/x", host=f"h{(i + 1) % 10}.test").status == 404


def test_routes_change_with_a_reload(t):
    lb, backends = rooms(t, route("a", "path = /x") + route("b", "path = /y"))
    assert [t.get(lb, path).text for path in ("/x", "/y")] == ["a", "b"]
    pools = "".join(f"[pool {name}]\nbackend = {backend}\ncheck = off\n" for name, backend in backends.items())
    lb.reload(pools + route("a", "path = /y") + route("b", "path = /x"))
    assert [t.get(lb, path).text for path in ("/x", "/y")] == ["b", "a"]
