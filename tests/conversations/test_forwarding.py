"""Who asked, by which way: the fields that say so, and whom lb believes."""
import re
import socket

from lbtest import pool

TRUSTED = "[listener web]\npool = app\ntrusted = 127.0.0.0/8\ntrusted = 10.0.0.0/8\n"
# Shows backends what lb makes of a request.
SHOWN = '[route shown]\npool = app\nset_request_header = X-Seen "$client_addr $client_port $scheme"\n'
X_FIELDS = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded")


def told(backend, names=X_FIELDS):
    """What the last request said in these fields."""
    request = backend.requests[-1]
    return {name: request.get(name) for name in names if request.get(name) is not None}


def claims(**more):
    return {"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example", **more}


def test_backends_are_told_about_the_client(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    client.get("/", host="a.example:81")
    assert told(s1) == {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "a.example:81"}


def test_what_a_stranger_claims_is_no_more_than_a_claim(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1) + SHOWN))
    client.get("/", claims(Forwarded="for=2.2.2.2;proto=https"))
    assert told(s1) == {"X-Forwarded-For": "1.1.1.1, 127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "test"}
    assert s1.requests[-1].get("X-Seen") == f"127.0.0.1 {client.address[1]} http"


def test_a_trusted_sender_is_believed(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(TRUSTED + pool(s1) + SHOWN))
    client.get("/", claims())
    assert told(s1) == {"X-Forwarded-For": "1.1.1.1, 127.0.0.1", "X-Forwarded-Proto": "https",
                        "X-Forwarded-Host": "shop.example"}
    assert s1.requests[-1].get("X-Seen") == "1.1.1.1 0 https"
    client.get("/", {"X-Forwarded-For": "6.6.6.6, 1.1.1.1:99, 10.0.0.7"})
    assert s1.requests[-1].get("X-Seen") == "1.1.1.1 99 http", "hops are walked from the right"
    client.get("/")
    assert s1.requests[-1].get("X-Seen") == f"127.0.0.1 {client.address[1]} http"


def test_several_lines_are_one_list(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(TRUSTED + pool(s1) + SHOWN))
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1\r\n"
                "X-Forwarded-For: 10.0.0.7\r\n\r\n")
    client.answer()
    assert s1.requests[-1].get("X-Seen") == "1.1.1.1 0 http"
    assert told(s1)["X-Forwarded-For"] == "6.6.6.6, 1.1.1.1, 10.0.0.7, 127.0.0.1"


def test_the_log_and_the_routes_know_the_client_behind_trusted_hops(t):
    office, others = t.backend("office"), t.backend("others")
    lb = t.lb(f"[log main]\npath = {t.path('access.log')}\nformat = \"$client_addr $peer_addr $scheme\"\n" + TRUSTED +
              pool(others) + f"[pool office]\nbackend = {office}\ncheck = off\n" +
              "[route office]\nsource = 192.0.2.0/24\npool = office\n")
    client = t.client(lb)
    assert client.get("/", claims(**{"X-Forwarded-For": "192.0.2.7"})).text == "office"
    assert client.get("/", claims()).text == "others"
    t.wait(lambda: t.read("access.log").count("\n") == 2, "two lines in the log")
    assert t.read("access.log").splitlines() == ["192.0.2.7 127.0.0.1 https", "1.1.1.1 127.0.0.1 https"]


def test_rfc_7239_instead(t):
    s1 = t.backend("s1")
    client = t.client(t.lb("[defaults]\nforwarded = rfc7239\n" + pool(s1) + SHOWN))
    client.get("/", claims(), host="a.example:81")
    assert told(s1) == {"Forwarded": 'for=127.0.0.1;host="a.example:81";proto=http'}
    client.get("/", {"Forwarded": 'for="[2001:db8::1]:9";proto=https'})
    assert told(s1) == {"Forwarded": 'for="[2001:db8::1]:9";proto=https, for=127.0.0.1;host=test;proto=http'}
    client.get("/", {"Forwarded": 'for="1.1.1.1'})
    assert told(s1) == {"Forwarded": "for=127.0.0.1;host=test;proto=http"}, "an open quote would swallow what lb says"
    assert s1.requests[-1].get("X-Seen") == f"127.0.0.1 {client.address[1]} http"


def test_rfc_7239_of_a_trusted_sender(t):
    s1 = t.backend("s1")
    client = t.client(t.lb("[defaults]\nforwarded = rfc7239\n" + TRUSTED + pool(s1) + SHOWN))
    for value, seen in (('for="[2001:db8::1]:9";proto=https', "2001:db8::1 9 https"),
                        ('for=6.6.6.6, for=1.1.1.1;proto=https, for=10.0.0.7;proto=http', "1.1.1.1 0 https"),
                        ('for="x, for=1.1.1.1', "1.1.1.1 0 http"),
                        ("for=unknown", f"127.0.0.1 {client.address[1]} http")):
        client.get("/", {"Forwarded": value})
        assert s1.requests[-1].get("X-Seen") == seen, value


def test_both_and_off(t):
    s1 = t.backend("s1")
    lb = t.lb("[defaults]\nforwarded = both\n" + pool(s1))
    client = t.client(lb)
    client.get("/")
    assert told(s1) == {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "test",
                        "Forwarded": "for=127.0.0.1;host=test;proto=http"}
    lb.reload("[defaults]\nforwarded = off\n" + pool(s1))
    client = t.client(lb)
    client.get("/")
    assert told(s1) == {}
    client.get("/", claims(Forwarded="anything at all"))
    assert told(s1) == claims(Forwarded="anything at all")


def test_every_request_has_an_id(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    for fields in ({}, {"X-Request-Id": "mine"}, {"X-Request-Id": "a b"}):
        client.get("/", fields)
    ids = [request.get("X-Request-Id") for request in s1.requests]
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids) and len(set(ids)) == 3, ids


def test_the_id_of_a_trusted_sender_is_kept_if_it_is_one(t):
    s1 = t.backend("s1")
    lb = t.lb(f"[log main]\npath = {t.path('access.log')}\nformat = $request_id\n" + TRUSTED + pool(s1))
    client = t.client(lb)
    wanted = ["Root=1-abc/~+", "x" * 128, None, None]
    for given in (*wanted[:2], "x" * 129, "a,b"):
        client.get("/", {"X-Request-Id": given})
    ids = [request.get("X-Request-Id") for request in s1.requests]
    for want, got in zip(wanted, ids):
        assert got == want if want else re.fullmatch("[0-9a-f]{32}", got), (want, got)
    t.wait(lambda: t.read("access.log").count("\n") == 4, "the log has the lines")
    assert t.read("access.log").splitlines() == ids, "the log names the same ids"


def test_request_ids_can_be_left_alone(t):
    s1 = t.backend("s1")
    client = t.client(t.lb("[defaults]\nrequest_id = off\n" + pool(s1)))
    client.get("/")
    client.get("/", {"X-Request-Id": "a b"})
    assert [request.get("X-Request-Id") for request in s1.requests] == [None, "a b"]


def test_via_in_both_directions(t):
    def script(connection):
        connection.request()
        connection.answer(200, "x", {"Via": "1.1 inner"})
        connection.request()
        connection.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx")
    s1 = t.backend("s1", script)
    client = t.client(t.lb("[defaults]\nvia = on\n" + pool(s1)))
    answer = client.get("/", {"Via": "1.1 cdn"})
    assert s1.requests[0].all("Via") == ["1.1 cdn", "1.1 lb"]
    assert answer.all("Via") == ["1.1 inner", "1.1 lb"]
    answer = client.get("/", {"Connection": "keep-alive"}, version="1.0")
    assert s1.requests[1].all("Via") == ["1.0 lb"]
    assert answer.all("Via") == ["1.0 lb"]


def test_without_via_there_is_none(t):
    s1 = t.backend("s1")
    answer = t.client(t.lb(pool(s1))).get("/", {"Via": "1.1 cdn"})
    assert s1.requests[0].all("Via") == ["1.1 cdn"] and answer.all("Via") == []


def test_max_forwards_counts_hops(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(pool(s1)))
    client.ask("OPTIONS", "/", {"Max-Forwards": "1"})
    assert client.answer().text == "s1" and s1.requests[-1].get("Max-Forwards") == "0"
    client.ask("OPTIONS", "*", {"Max-Forwards": "0"})
    assert client.answer().status == 200
    client.get("/", {"Max-Forwards": "0"})
    assert s1.requests[-1].get("Max-Forwards") == "0", "it means nothing with other methods"
    assert len(s1.requests) == 2, "lb is the last one that an OPTIONS with 0 may reach"


def test_a_sender_on_a_unix_socket_is_of_this_machine(t):
    s1 = t.backend("s1")
    path = t.path("web.sock")
    t.lb(f"[listener web]\npool = app\n[listener local]\nbind = unix:{path}\npool = app\n" + pool(s1) + SHOWN)

    def ask(fields):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(path)
            sock.sendall(f"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{fields}\r\n".encode())
            answer = b""
            while data := sock.recv(65536):
                answer += data
            assert answer.startswith(b"HTTP/1.1 200 "), answer
    ask("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n")
    assert s1.requests[-1].get("X-Seen") == "1.1.1.1 0 https"
    assert told(s1) == {"X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "test"}
    ask("")
    assert s1.requests[-1].get("X-Seen") == "unix: 0 http"
    assert told(s1) == {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "test"}


# -- what a client may not decide

OF_A_PROXY = {"X-Forwarded-Port": "443", "X-Forwarded-Prefix": "/in", "x-forwarded-ssl": "on", "X-Real-IP": "9.9.9.9"}


def test_only_trusted_senders_speak_as_a_proxy(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1))
    t.client(lb).get("/", {**OF_A_PROXY, "X-Keep": "1"})
    assert told(s1, OF_A_PROXY) == {} and s1.requests[-1].get("X-Keep") == "1"
    lb.reload(TRUSTED + pool(s1))
    t.client(lb).get("/", {**OF_A_PROXY, "Connection": ", ".join(OF_A_PROXY)})
    assert told(s1, OF_A_PROXY) == OF_A_PROXY, "nor can the client of a trusted sender have it removed"
    lb.reload("[defaults]\nforwarded = off\n" + pool(s1))
    t.client(lb).get("/", OF_A_PROXY)
    assert told(s1, OF_A_PROXY) == OF_A_PROXY


def test_proxy_passes_from_nobody(t):
    s1 = t.backend("s1")
    lb = t.lb(TRUSTED + pool(s1))
    t.client(lb).get("/", {"Proxy": "http://evil.test/"})
    lb.reload("[defaults]\nforwarded = off\n" + TRUSTED + pool(s1))
    t.client(lb).get("/", {"pRoXy": "http://evil.test/"})
    assert [request.get("Proxy") for request in s1.requests] == [None, None]


def test_connection_takes_nothing_from_a_trusted_sender(t):
    """What the client of a proxy in front writes, where that one lets Connection pass."""
    s1 = t.backend("s1")
    client = t.client(t.lb("[defaults]\nvia = on\n" + TRUSTED + pool(s1) + SHOWN))
    said = claims(**{"X-Request-Id": "abc", "Via": "1.1 cdn"})
    client.get("/", {**said, "Connection": "close, " + ", ".join(said), "Forwarded": "for=1.1.1.1"})
    request = s1.requests[-1]
    assert told(s1) == {**claims(), "X-Forwarded-For": "1.1.1.1, 127.0.0.1", "Forwarded": "for=1.1.1.1"}
    assert request.get("X-Request-Id") == "abc" and request.all("Via") == ["1.1 cdn", "1.1 lb"]
    assert request.get("X-Seen") == "1.1.1.1 0 https"


def test_two_ids_are_none(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(TRUSTED + pool(s1)))
    client.send("GET / HTTP/1.1\r\nHost: test\r\nX-Request-Id: a\r\nX-Request-Id: a\r\n\r\n")
    client.answer()
    ids = s1.requests[-1].all("X-Request-Id")
    assert len(ids) == 1 and re.fullmatch("[0-9a-f]{32}", ids[0]), ids


def test_what_a_route_says_stands_whatever_the_client_names(t):
    s1 = t.backend("s1")
    route = ("[route all]\npool = app\nset_request_header = X-Forwarded-Proto https\nset_request_header = X-Role guest\n"
             "set_request_header = X-Real-IP $client_addr\nset_request_header = X-Copy \"<$http_x_raw>\"\n"
             "remove_request_header = X-Forwarded-Host\nremove_request_header = True-Client-IP\n")
    client = t.client(t.lb(pool(s1) + route))
    names = ("X-Forwarded-Proto", "X-Role", "X-Real-IP", "X-Copy", "X-Forwarded-Host", "True-Client-IP")
    client.get("/", {"Connection": ", ".join(names), "X-Role": "root", "X-Real-IP": "9.9.9.9", "True-Client-IP": "9.9.9.9",
                     "X-Raw": "a\tb\xe4 c", "X-Forwarded-Host": "evil"})
    assert told(s1, names) == {"X-Forwarded-Proto": "https", "X-Role": "guest", "X-Real-IP": "127.0.0.1", "X-Copy": "<ab\xe4 c>"}
    assert s1.requests[-1].all("X-Role") == ["guest"]


def test_an_absolute_target_leaves_one_host_for_all(t):
    s1, other = t.backend("s1"), t.backend("other")
    lb = t.lb(f"[log main]\npath = {t.path('access.log')}\nformat = \"$host $http_host\"\n[listener web]\npool = app\n" + pool(s1) +
              f"[pool other]\nbackend = {other}\ncheck = off\n[route other]\nhost = other.test\npool = other\n"
              "[route field]\nheader = Host = other.test\npool = other\n"
              '[route rest]\npool = app\nset_request_header = X-Seen "$host $http_host"\n')
    client = t.client(lb)
    client.send("GET http://real.test/a HTTP/1.1\r\nHost: other.test\r\n\r\n")
    assert client.answer().text == "s1", "neither kind of route heard of the other host"
    request = s1.requests[-1]
    assert (request.all("Host"), request.all("X-Forwarded-Host")) == (["real.test"], ["real.test"])
    assert request.get("X-Seen") == "real.test real.test"
    t.wait(lambda: t.read("access.log").count("\n") == 1, "a line in the log")
    assert t.read("access.log") == "real.test real.test\n"


def test_a_stranger_is_who_it_is_for_limits_too(t):
    s1 = t.backend("s1")
    lb = t.lb("[listener web]\npool = app\nlimit = each\n" + pool(s1) + "[limit each]\nrate = 1/h burst=1\n")
    names = ("X-Forwarded-For", "X-Real-IP", "X-Forwarded-Client-IP", "Forwarded")
    statuses = [t.get(lb, "/", {name: f"for=10.0.0.{i}"[0 if name == "Forwarded" else 4:] for name in names}).status for i in range(3)]
    assert statuses == [200, 429, 429]


def test_garbage_in_the_list_of_a_trusted_sender(t):
    s1 = t.backend("s1")
    client = t.client(t.lb(TRUSTED + pool(s1) + SHOWN))
    own = f"127.0.0.1 {client.address[1]} http"
    for given, seen in (("[2001:db8::1]:99", "2001:db8::1 99 http"), ("2001:db8::1, 10.0.0.7", "2001:db8::1 0 http"),
                        ("6.6.6.6, unknown", own), ("6.6.6.6, _hidden, 10.0.0.7", "10.0.0.7 0 http"), ("6.6.6.6 1.1.1.1", own),
                        ("6.6.6.6,\"1.1.1.1", own), ("1.1.1.1,,, ,10.0.0.7,", "1.1.1.1 0 http"), ("", own),
                        ("6.6.6.6, " + "10.0.0.7, " * 400 + "10.0.0.8", "10.0.0.7 0 http")):
        client.get("/", {"X-Forwarded-For": given})
        assert s1.requests[-1].get("X-Seen") == seen, given
        assert s1.requests[-1].get("X-Forwarded-For").endswith("127.0.0.1") and len(s1.requests[-1].all("X-Forwarded-For")) == 1


def test_a_trailer_that_connection_names_ends_here(t):
    def script(connection):
        while True:
            connection.request()
            connection.send("HTTP/1.1 200 OK\r\nConnection: x-hop\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "3\r\nabc\r\n0\r\nX-Sum: 6\r\nX-Hop: 1\r\n\r\n")
    s1 = t.backend("s1", script)
    client = t.client(t.lb(pool(s1)))
    head = "POST / HTTP/1.1\r\nHost: test\r\nConnection: TE, X-HOP\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = "3\r\nabc\r\n0\r\nX-Hop: 1\r\nX-Sum: 6\r\n\r\n"
    for pieces in ((head + body,), (head, body), (head, body[:15], body[15:])):
        for piece in pieces:
            client.send(piece)
        answer = client.answer(to="POST")
        assert (answer.body, answer.trailers) == (b"abc", [("X-Sum", "6")])
        assert s1.requests[-1].trailers == [("X-Sum", "6")]
    client.send(head.replace(", X-HOP", "") + body)
    client.answer(to="POST")
    assert s1.requests[-1].trailers == [("X-Hop", "1"), ("X-Sum", "6")], "what was named is not remembered"
