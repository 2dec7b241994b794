"""What a route does with a request: answers it, changes it, compresses, copies and divides it, and its own limits."""
import gzip
import zlib

from lbtest import pool


def other(name, *backends):
    return f"[pool {name}]\ncheck = off\n" + "".join(f"backend = {each}\n" for each in backends)


def route(*lines, name="r"):
    return f"[route {name}]\n" + "".join(f"{line}\n" for line in lines)


def answers(body="x", fields=(), status=200):
    """A backend that always answers so."""
    def script(connection):
        while True:
            request = connection.request()
            connection.answer(status, body, fields, to=request.method)
    return script


# -- lb answers itself

def test_a_redirect_says_where_and_keeps_the_connection(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1) + route("path = /old", "redirect = 308 https://$host$request_uri",
                               "set_response_header = Strict-Transport-Security max-age=60"))
    client = t.client(lb)
    answer = client.get("/old/a%20b?c=d", host="Shop.Example:8080")
    assert (answer.status, answer.get("Location")) == (308, "https://shop.example/old/a%20b?c=d")
    assert answer.get("Strict-Transport-Security") == "max-age=60" and answer.get("Date")
    client.ask("HEAD", "/old")
    assert client.answer().get("Content-Length") == answer.get("Content-Length")
    client.post("/old", b"a body that nobody wants")
    assert client.get("/new").text == "s1" and s1.requests[-1].target == "/new" and len(s1.requests) == 1
    lb.wait_metric(3, "lb_route_requests_total", route="r", class_="3xx")


def test_a_redirect_cannot_be_made_to_end_its_line(t):
    client = t.client(t.lb(pool(t.backend()) + route("path = /to", 'redirect = 302 "/next?$query#$http_x"')))
    answer = client.get("/to?a%0d%0aSet-Cookie:%20x", {"X": 'sp ace"'})
    assert answer.get("Location") == "/next?a%0d%0aSet-Cookie:%20x#sp%20ace%22" and answer.get("Set-Cookie") is None


def test_a_redirect_cannot_be_made_to_name_another_host(t):
    client = t.client(t.lb(pool(t.backend()) + route("path = /go", "redirect = 302 $arg_to", name="go") +
                           route("path = /rest", "redirect = 302 /$arg_to", name="rest") +
                           route("path = /cdn", "redirect = 302 //cdn.example$request_uri", name="cdn")))
    for asked, location in (("/go?to=//evil.example/x", "/evil.example/x"), ("/go?to=/\\evil.example", "/evil.example"),
                            ("/go?to=\\/\\evil.example", "/evil.example"), ("/go?to=/a//b", "/a//b"),
                            ("/rest?to=/evil.example", "/evil.example"), ("/rest?to=a", "/a"),
                            ("/cdn", "//cdn.example/cdn")):
        assert client.get(asked).get("Location") == location, asked


def test_a_location_or_field_that_is_long_is_whole_or_not_there(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1) + route("path = /to", "redirect = 308 https://$host$request_uri", name="to") +
                           route("pool = app", "set_request_header = X-Was $request_uri", name="app")))
    query = "a" * 8000 + "end"
    assert client.get(f"/to?{query}").get("Location") == f"https://test/to?{query}"
    answer = client.get(f"/to?{query}{query}")
    assert (answer.status, answer.get("Location") is None) == (414, True)
    assert client.get(f"/x?{query}").status == 200 and s1.requests[-1].get("X-Was") == f"/x?{query}"
    assert client.get(f"/x?{query}{query}").status == 200 and s1.requests[-1].get("X-Was") == f"/x?{query}{query}"


def test_respond_gives_a_file_or_just_the_status(t):
    page = t.write("soon.html", "<h1>soon</h1>")
    lb = t.lb(pool(t.backend("s1")) + route("path = /shop", f"respond = 503 file={page}", name="shop") +
              route("path = /gone", "respond = 410", name="gone") +
              route("path = /empty", "respond = 204", name="empty"))
    client = t.client(lb)
    answer = client.get("/shop/x")
    assert (answer.status, answer.text) == (503, "<h1>soon</h1>") and answer.get("Content-Type").startswith("text/html")
    client.ask("HEAD", "/shop/x")
    assert client.answer().get("Content-Length") == "13"
    assert client.get("/gone").status == 410
    answer = client.get("/empty")
    assert (answer.status, answer.get("Content-Length")) == (204, None)
    assert client.get("/").text == "s1"


def test_the_file_is_the_one_of_the_last_reload(t):
    page = t.write("page.txt", "one")
    text = pool(t.backend()) + route(f"respond = 200 file={page}")
    lb = t.lb(text)
    assert t.get(lb).text == "one"
    t.write("page.txt", "two")
    assert t.get(lb).text == "one"
    lb.reload(text)
    assert t.get(lb).text == "two"


# -- it changes the request

def test_rewrite_makes_the_path_and_keeps_the_query(t):
    s1 = t.backend("s1")
    lb = t.lb(f"[log main]\npath = {t.path('access.log')}\nformat = $request_uri\n" + pool(s1) +
              route("path = /v1/", "pool = app", r"rewrite = ^/v1/(\w+)/(.*) /$2/$1", name="v1") +
              route("path = /q", "pool = app", "rewrite = ^/q/(.*) /search?q=$1&from=$arg_from", name="q"))
    client = t.client(lb)
    for asked, seen in (("/v1/a/b?c=d", "/b/a?c=d"), ("/v1/a%2Fb/c", "/b/c/a"), ("/v1/a/b%20c", "/b%20c/a"),
                        ("/q/x?from=y&z", "/search?q=x&from=y"), ("/else", "/else")):
        client.get(asked)
        assert s1.requests[-1].target == seen, asked
    t.wait(lambda: t.read("access.log").count("\n") == 5, "the log has the lines")
    assert t.read("access.log").splitlines()[0] == "/v1/a/b?c=d", "the log has what was asked for"


def test_no_other_form_of_a_path_escapes_its_rewrite(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1) + route("path = /app/", "pool = app", "rewrite = ^/app/(.*) /tenants/42/$1", name="app") +
                           route("respond = 403", name="rest")))
    for asked, seen in (("/app/x", "/tenants/42/x"), ("/%61pp/secret", "/tenants/42/secret"), ("//app/secret", "/tenants/42/secret"),
                        ("/x/../app/secret", "/tenants/42/secret"), ("/app/../app/x", "/tenants/42/x"),
                        ("/app/%2e%2e/app/x", "/tenants/42/x"), ("/app/..%2fapp/x?q", "/tenants/42/x?q"),
                        ("/app%2fx", "/tenants/42/x"), ("/app/a%2Fb", "/tenants/42/a%2Fb"), ("/app//x", "/tenants/42/x"),
                        ("/app/x/..", "/tenants/42/"), ("/app/./%2e/x", "/tenants/42/x"),
                        ("//app/%252e%252e/x", "/tenants/42/%252e%252e/x"), ("//app/a%3Fb%23c%25%0a", "/tenants/42/a%3Fb%23c%25%0A"),
                        ("/app/%252e%252e/x", "/tenants/42/%252e%252e/x"), ("/x/../../app/x/../../app/y", "/tenants/42/y")):
        assert client.get(asked).status == 200, asked
        assert s1.requests[-1].target == seen, asked
    assert client.get("/app/../secret").status == 403 and client.get("/app/%2e%2e%2fsecret").status == 403


def test_values_lead_nowhere_else_than_below_the_text_of_a_rewrite(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1) + route("path = /a", "pool = app", "rewrite = ^ /users/$arg_user/home", name="a") +
                           route("path = /h", "pool = app", "rewrite = ^ /of/$http_x", name="h")))
    for asked, fields, seen in (("/a?user=7", {}, "/users/7/home?user=7"), ("/a?user=../admin", {}, "/users/admin/home?user=../admin"),
                                ("/a?user=%2e%2E%2fadmin", {}, "/users/admin/home?user=%2e%2E%2fadmin"),
                                ("/h", {"X": "x/../../y"}, "/of/y"), ("/h", {"X": ".."}, "/of/"), ("/h", {"X": "..."}, "/of/...")):
        client.get(asked, fields)
        assert s1.requests[-1].target == seen, asked


def test_a_path_that_a_rewrite_makes_too_long_is_refused(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1) + route("pool = app", "rewrite = ^/(.*) /$1$1$1")))
    assert client.get("/" + "a" * 4000).status == 414
    assert client.get("/abc").text == "s1" and s1.requests[-1].target == "/abcabcabc"


def test_fields_of_the_request_are_set_added_and_removed(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1) + route("pool = app", "set_request_header = X-Env prod", "add_request_header = Accept b/b",
                               "remove_request_header = Cookie", "set_request_header = Host inner.example",
                               "set_request_header = X-Forwarded-For $client_addr", "remove_request_header = X-Request-Id",
                               'set_request_header = X-Line "$http_x_in; $method"'))
    t.client(lb).get("/", {"x-env": "dev", "Accept": "a/a", "cookie": "a=1", "X-Forwarded-For": "1.1.1.1", "X-In": "in"})
    seen, = s1.requests
    assert seen.all("X-Env") == ["prod"] and seen.all("Accept") == ["a/a", "b/b"] and seen.all("Cookie") == []
    assert seen.all("Host") == ["inner.example"] and seen.get("X-Forwarded-Host") == "test"
    assert seen.all("X-Forwarded-For") == ["127.0.0.1"] and seen.all("X-Request-Id") == []
    assert seen.get("X-Line") == "in; GET"


def test_fields_of_the_answer_are_set_added_and_removed(t):
    s1 = t.backend("s1", answers("x", {"Server": "secret/1.0", "Set-Cookie": "a=1", "X-Old": "1"}))
    lb = t.lb(pool(f"{s1} name=one") +
              route("pool = app", "remove_response_header = server", "add_response_header = Set-Cookie b=2",
                    'set_response_header = X-Old "$status $pool $backend"', "set_response_header = X-Asked $http_x_in"))
    client = t.client(lb)
    answer = client.get("/", {"X-In": "in"})
    assert answer.all("Server") == [] and answer.all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.all("X-Old") == ["200 app one"] and answer.all("X-Asked") == ["in"] and answer.text == "x"
    assert client.get("/").all("X-Asked") == [], "a value that comes to nothing adds no line"


EDITS = ("remove_response_header = Server", "set_response_header = X-Set yes")


def test_interim_answers_lose_what_the_route_takes_from_answers(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 103 Early Hints\r\nServer: secret/1.0\r\nX-Set: no\r\nLink: </a>\r\n\r\n")
        connection.answer(200, "x", {"Server": "secret/1.0"})
    answer = t.get(t.lb(pool(t.backend("s1", script)) + route("pool = app", *EDITS)))
    early, = answer.interim
    assert (early.status, early.get("Link"), early.get("Server"), early.get("X-Set")) == (103, "</a>", None, None)
    assert early.get("Date") is None and (answer.get("Server"), answer.get("X-Set")) == (None, "yes")


def test_the_head_of_a_tunnel_is_edited_too(t):
    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nServer: secret/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        connection.take(3)
        connection.send("bye")
    client = t.client(t.lb("[defaults]\nvia = on\n" + pool(t.backend("s1", script)) + route("pool = app", *EDITS)))
    client.send("GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    head = client.head()
    assert (head.status, head.get("Server"), head.get("X-Set"), head.get("Via")) == (101, None, "yes", "1.1 lb")
    assert head.get("Date") and head.all("Connection") == ["Upgrade"] and head.all("Upgrade") == ["websocket"]
    client.send("abc")
    assert client.take(3) == b"bye"


def test_trailers_bring_nothing_back_that_a_route_takes_out(t):
    def script(connection):
        while True:
            connection.request()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nServer: x\r\nX-Set: no\r\nX-Sum: 1\r\n\r\n")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1) + route("pool = app", "remove_request_header = X-User", "set_request_header = X-Role guest", *EDITS)))
    client.send("POST / HTTP/1.1\r\nHost: test\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\nX-User: root\r\n\r\n"
                "1\r\na\r\n0\r\nX-User: root\r\nX-Role: root\r\nX-In: 1\r\n\r\n")
    answer = client.answer(to="POST")
    assert list(answer.trailers) == [("X-Sum", "1")], answer.trailers
    assert list(s1.requests[-1].trailers) == [("X-In", "1")] and s1.requests[-1].all("X-Role") == ["guest"]


# -- it compresses

PLAIN = "a line of text that repeats itself\n" * 50
ASKS = {"Accept-Encoding": "br;q=1.0, gzip;q=0.8"}


def test_text_is_compressed_for_those_who_take_it(t):
    s1 = t.backend("s1", answers(PLAIN, {"Content-Type": "text/plain", "ETag": '"e"', "Accept-Ranges": "bytes"}))
    lb = t.lb(pool(s1) + route("pool = app", "compress = gzip"))
    client = t.client(lb)
    answer = client.get("/", ASKS)
    assert gzip.decompress(answer.body).decode() == PLAIN and len(answer.body) < len(PLAIN) / 10
    assert answer.get("Content-Encoding") == "gzip" and answer.get("Content-Length") is None
    assert answer.get("Vary") == "Accept-Encoding" and answer.get("ETag") == 'W/"e"'
    assert answer.get("Accept-Ranges") is None
    client.ask("HEAD", "/", ASKS)
    head = client.answer()
    assert head.get("Content-Encoding") == "gzip" and head.get("Content-Length") is None
    for fields in ({}, {"Accept-Encoding": "gzip;q=0"}, {"Accept-Encoding": "identity, gzip;q=0.5"}):
        plain = client.get("/", fields)
        assert plain.text == PLAIN and plain.get("Content-Encoding") is None, fields
        assert plain.get("Vary") == "Accept-Encoding" and plain.get("ETag") == '"e"'
    lb.wait_metric(len(PLAIN), "lb_route_gzip_in_bytes_total", route="r")
    lb.wait_metric(len(answer.body), "lb_route_gzip_out_bytes_total", route="r")
    old = client.get("/", ASKS, version="1.0")
    assert old.text == PLAIN and old.get("Content-Encoding") is None


def test_a_304_has_the_validators_of_the_compressed_answer(t):
    client = t.client(t.lb(pool(t.backend("s1", answers("", {"ETag": '"e"'}, 304))) + route("pool = app", "compress = gzip")))
    answer = client.get("/", {**ASKS, "If-None-Match": 'W/"e"'})
    assert (answer.status, answer.get("ETag"), answer.get("Vary")) == (304, 'W/"e"', "Accept-Encoding")
    assert answer.get("Content-Encoding") is None
    answer = client.get("/", {"If-None-Match": '"e"'})
    assert (answer.status, answer.get("ETag"), answer.get("Vary")) == (304, '"e"', "Accept-Encoding")


def test_what_is_not_worth_it_or_not_allowed_passes_as_it_is(t):
    cases = {"/image": ("x" * 1000, {"Content-Type": "image/png"}), "/small": ("x" * 100, {"Content-Type": "text/plain"}),
             "/done": ("x" * 1000, {"Content-Type": "text/plain", "Content-Encoding": "br"}),
             "/kept": ("x" * 1000, {"Content-Type": "text/plain", "Cache-Control": "no-transform"}),
             "/untyped": ("x" * 1000, {})}

    def script(connection):
        while True:
            connection.answer(200, *cases[connection.request().target])
    client = t.client(t.lb(pool(t.backend("s1", script)) + route("pool = app", "compress = gzip")))
    for target, (body, fields) in cases.items():
        answer = client.get(target, ASKS)
        assert answer.text == body and answer.get("Content-Encoding") == fields.get("Content-Encoding"), target
        assert answer.get("Content-Length") == str(len(body)) and answer.get("Vary") is None, target


def test_digests_behind_a_compressed_body_do_not_pass(t):
    def script(connection):
        while True:
            connection.request()
            connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
                            "Content-Digest: sha-256=:a=:\r\nrepr-digest: sha-256=:a=:\r\nX-Sum: 1\r\n\r\n")
    client = t.client(t.lb(pool(t.backend("s1", script)) + route("pool = app", "compress = gzip")))
    answer = client.get("/", {**ASKS, "TE": "trailers", "Connection": "TE"})
    assert gzip.decompress(answer.body) == b"x" and list(answer.trailers) == [("X-Sum", "1")], answer.trailers
    assert len(client.get("/", {"TE": "trailers", "Connection": "TE"}).trailers) == 3


def test_events_are_not_held_back_by_compression(t):
    go_on = t.gate()

    def script(connection):
        connection.request()
        connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.send("9\r\ndata: 1\n\n\r\n")
        go_on.wait()
        connection.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    client = t.client(t.lb(pool(t.backend("s1", script)) + route("pool = app", "compress = gzip")))
    client.ask("GET", "/", ASKS)
    assert client.head().get("Content-Encoding") == "gzip"
    inflated, text = zlib.decompressobj(31), b""

    def chunk():
        size = int(client.take_through(b"\r\n"), 16)
        data = inflated.decompress(client.take(size))
        client.take(2)
        return data, size
    while text != b"data: 1\n\n":
        text += chunk()[0]
    go_on.open()
    while True:
        data, size = chunk()
        text += data
        if size == 0:
            break
    assert text == b"data: 1\n\ndata: 2\n\n" and inflated.eof


def test_a_large_answer_is_compressed_as_it_comes(t):
    body = "".join(f"line {n} of a large answer\n" for n in range(200_000))
    s1 = t.backend("s1", answers(body, {"Content-Type": "application/json"}))
    client = t.client(t.lb(pool(s1) + route("pool = app", "compress = gzip")))
    for _ in range(2):
        answer = client.get("/", ASKS)
        assert gzip.decompress(answer.body).decode() == body and len(answer.body) < len(body) / 3


# -- it copies

def test_a_mirror_gets_a_copy_and_nobody_hears_its_answer(t):
    s1, shadow = t.backend("s1"), t.backend("shadow", answers("boo", status=500))
    lb = t.lb(pool(s1) + other("shadow", shadow) +
              route("pool = app", "mirror = shadow 100%", "rewrite = ^/v1/(.*) /$1", "set_request_header = X-Env prod"))
    client = t.client(lb)
    assert client.get("/v1/a?b", {"Cookie": "c=1"}).text == "s1"
    assert client.post("/v1/p", b"hello").text == "s1"
    t.wait(lambda: len(shadow.requests) == 2, "the shadow has both requests")
    for original, copy in zip(s1.requests, sorted(shadow.requests, key=lambda request: request.method)):
        assert (copy.line, copy.fields, copy.body) == (original.line, original.fields, original.body)
    lb.wait_metric(2, "lb_route_mirrored_total", route="r", result="sent")
    lb.wait_metric(2, "lb_requests_total", pool="shadow", class_="5xx")
    lb.wait_metric(2, "lb_listener_requests_total", listener="web")
    lb.wait_metric(2, "lb_route_requests_total", route="r")


def test_a_mirror_that_is_slow_or_gone_delays_nothing(t):
    never = t.gate()

    def script(connection):
        connection.request()
        never.wait()
    s1, slow, gone = t.backend("s1"), t.backend("slow", script), t.refusing("gone")
    lb = t.lb(pool(s1) + other("slow", slow) + other("gone", gone) +
              route("path = /slow", "pool = app", "mirror = slow 100%", name="slow") +
              route("path = /gone", "pool = app", "mirror = gone 100%", name="gone"))
    client = t.client(lb)
    with t.lasts(at_most=5):
        for _ in range(20):
            assert client.get("/slow").text == "s1" and client.get("/gone").text == "s1"
    t.wait(lambda: len(slow.requests) == 20, "the slow one has them all")
    lb.wait_metric(20, "lb_requests_total", pool="gone", class_="5xx")
    never.open()


def test_a_body_too_long_to_keep_is_not_mirrored(t):
    s1, shadow = t.backend("s1"), t.backend("shadow")
    lb = t.lb(pool(s1) + other("shadow", shadow) + route("pool = app", "mirror = shadow 100%"))
    client = t.client(lb)
    assert client.post("/large", b"x" * 300_000).text == "s1"
    assert client.post("/small", b"x" * 1000).text == "s1"
    t.wait(lambda: len(shadow.requests) == 1, "the small one is mirrored")
    assert shadow.requests[0].target == "/small" and shadow.requests[0].body == b"x" * 1000
    lb.wait_metric(1, "lb_route_mirrored_total", route="r", result="dropped")
    lb.wait_metric(1, "lb_route_mirrored_total", route="r", result="sent")


def test_a_mirror_may_get_a_share(t):
    s1, shadow = t.backend("s1"), t.backend("shadow")
    lb = t.lb(pool(s1) + other("shadow", shadow) + route("pool = app", "mirror = shadow 50%"))
    client = t.client(lb)
    for _ in range(200):
        client.get("/")
    sent = lb.metric("lb_route_mirrored_total", route="r", result="sent")
    assert 50 < sent < 150, sent
    t.wait(lambda: len(shadow.requests) == sent, "the shadow has them")


# -- it divides

def test_a_split_is_exact_over_all_workers(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1) + other("next", s2) + route("pool = app weight=3", "pool = next weight=1"), workers=2)
    got = [t.get(lb).text for _ in range(40)]
    assert (got.count("s1"), got.count("s2")) == (30, 10)
    assert all("s2" in got[i:i + 4] for i in range(0, 40, 4)), got


# -- it has limits of its own

def test_a_route_has_its_own_largest_body(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\npool = app\nmax_body = 2k\n" + pool(s1) +
              route("path = /upload", "pool = app", "max_body = 10k", name="up") +
              route("path = /form", "pool = app", "max_body = 1k", name="form"))
    for target, size, status in (("/upload", 10240, 200), ("/upload", 10241, 413), ("/form", 1024, 200), ("/form", 1025, 413),
                                 ("/", 2048, 200), ("/", 2049, 413)):
        assert t.client(lb).post(target, b"x" * size).status == status, (target, size)


def test_a_route_has_its_own_times(t):
    never = t.gate()

    def script(connection):
        request = connection.request()
        if request.target == "/cut":
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        never.wait()
    lb = t.lb(pool(t.backend("s1", script), more="retries = 0\n") +
              route("path = /head", "pool = app", "response_timeout = 200ms", name="head") +
              route("path = /whole", "pool = app", "request_timeout = 300ms", name="whole") +
              route("path = /cut", "pool = app", "body_timeout = 200ms", name="cut"))
    for target, least in (("/head", 0.2), ("/whole", 0.3)):
        with t.lasts(least, 5):
            assert t.get(lb, target).status == 504, target
    client = t.client(lb)
    client.ask("GET", "/cut")
    with t.lasts(0.2, 5):
        assert client.head().status == 200
        client.expect_gone()
    client = t.client(lb)
    client.send("POST /cut HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf")
    with t.lasts(0.2, 5):
        assert client.answer(to="POST").status == 408
    never.open()


def test_a_route_has_its_own_retries(t):
    lb = t.lb(pool(t.refusing(), t.backend("s2")) + route("path = /once", "pool = app", "retries = 0", name="once") +
              route("path = /", "pool = app", name="all"))
    client = t.client(lb)
    assert [client.get("/").status for _ in range(4)] == [200] * 4
    assert sorted(client.get("/once").status for _ in range(4)) == [200, 200, 502, 502]


def test_a_route_has_its_own_log_or_none(t):
    logs = "".join(f"[log {name}]\npath = {t.path(name)}\nformat = $request_uri\n" for name in ("main", "extra"))
    lb = t.lb(logs + pool(t.backend("s1")) + route("path = /quiet", "pool = app", "access_log = off", name="quiet") +
              route("path = /extra", "pool = app", "access_log = extra", name="extra"))
    client = t.client(lb)
    for target in ("/quiet", "/extra", "/else"):
        client.get(target)
    t.wait(lambda: t.read("extra") and t.read("main"), "both logs have lines")
    assert (t.read("main"), t.read("extra")) == ("/else\n", "/extra\n")
