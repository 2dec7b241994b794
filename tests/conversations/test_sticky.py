"""Sessions that stay with their backend: by a cookie, a header or an address; nothing of it is kept in lb."""
import re

from lbtest import pool

SECRET = "00112233445566778899aabbccddeeff"
COOKIE = f"sticky = cookie LBID secret={SECRET} ttl=1h secure httponly samesite=lax\n"


def cookie_of(answer):
    line = answer.get("Set-Cookie")
    return line and line.split(";")[0]


def three(t, more=COOKIE, **options):
    backends = [t.backend() for _ in range(3)]
    text = pool(*(f"{each} name={each.name}" for each in backends), more=more)
    return backends, text, t.lb(text, **options)


def test_a_cookie_keeps_a_session_over_workers_reloads_and_a_second_lb(t):
    _, text, lb = three(t, workers=3)
    answer = t.get(lb)
    assert re.fullmatch(r"LBID=[0-9a-f]{16}; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax", answer.get("Set-Cookie"))
    home, cookie = answer.text, {"Cookie": f"a=1; {cookie_of(answer)}; b=2"}
    for _ in range(12):
        again = t.get(lb, "/", cookie)
        assert again.text == home and again.get("Set-Cookie") is None
    lb.reload()
    assert t.get(lb, "/", cookie).text == home
    other = t.lb(text, workers=1)
    assert {t.get(other, "/", cookie).text for _ in range(6)} == {home}
    assert lb.metric("lb_pool_sticky_total", pool="app", result="kept") == 13


def test_new_sessions_are_balanced(t):
    _, _, lb = three(t)
    client = t.client(lb)
    assert [client.get("/").text for _ in range(6)] == ["s1", "s2", "s3"] * 2


def test_a_session_of_a_backend_that_is_down_moves_and_gets_another_cookie(t):
    check = "check = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1 start=up\n"
    backends, _, lb = three(t, COOKIE + check)
    answer = t.get(lb)
    home = next(each for each in backends if each.name == answer.text)
    home.check_status = 500
    lb.wait_metric(0, "lb_backend_up", pool="app", backend=home.name)
    moved = t.get(lb, "/", {"Cookie": cookie_of(answer)})
    assert moved.text != home.name
    assert cookie_of(moved) and cookie_of(moved) != cookie_of(answer)
    assert t.get(lb, "/", {"Cookie": cookie_of(moved)}).text == moved.text


def test_a_session_moves_when_its_backend_refuses(t):
    backends, _, lb = three(t)
    answer = t.get(lb)
    next(each for each in backends if each.name == answer.text).dies()
    moved = t.get(lb, "/", {"Cookie": cookie_of(answer)})
    assert moved.status == 200 and moved.text != answer.text and cookie_of(moved)


def test_a_drained_backend_keeps_its_sessions_and_gets_no_new_ones(t):
    backends, _, lb = three(t)
    answer = t.get(lb)
    drained = lb.run("-c", lb.config_path, "backend", "drain", f"app/{answer.text}")
    assert drained.status == 0, drained
    assert {t.get(lb, "/", {"Cookie": cookie_of(answer)}).text for _ in range(5)} == {answer.text}
    assert answer.text not in {t.get(lb).text for _ in range(6)}
    assert lb.run("-c", lb.config_path, "backend", "maint", f"app/{answer.text}").status == 0
    assert t.get(lb, "/", {"Cookie": cookie_of(answer)}).text != answer.text


def test_a_made_up_cookie_chooses_nothing(t):
    _, _, lb = three(t)
    for value in ("0", "f" * 16, "x" * 16, "00" * 40, "", "../../etc"):
        answer = t.get(lb, "/", {"Cookie": f"LBID={value}"})
        assert answer.status == 200 and cookie_of(answer), value


def test_another_secret_makes_other_cookies(t):
    _, text, lb = three(t)
    other = t.lb(text.replace(SECRET, "ff" * 16))
    client, second = t.client(lb), t.client(other)
    ids = {cookie_of(client.get("/")) for _ in range(3)}
    assert len(ids) == 3
    assert not ids & {cookie_of(second.get("/")) for _ in range(3)}


def test_sticky_by_header_falls_back_to_the_policy_without_one(t):
    _, _, lb = three(t, "sticky = header X-Session\n", workers=2)
    assert {t.get(lb, "/", {"X-Session": "alice"}).text for _ in range(6)} == {t.get(lb, "/", {"X-Session": "alice"}).text}
    assert {t.get(lb, "/", {"X-Session": f"user{number}"}).text for number in range(40)} == {"s1", "s2", "s3"}
    client = t.client(lb)
    assert sorted(client.get("/").text for _ in range(6)) == ["s1", "s1", "s2", "s2", "s3", "s3"]


def test_sticky_by_address(t):
    _, _, lb = three(t, "sticky = ip\n[listener web]\ntrusted = 127.0.0.0/8\n", workers=2)
    found = set()
    for number in range(30):
        fields = {"X-Forwarded-For": f"198.51.100.{number}"}
        answers = {t.get(lb, "/", fields).text for _ in range(3)}
        assert len(answers) == 1
        found |= answers
    assert found == {"s1", "s2", "s3"}


def test_a_session_whose_backend_is_full_is_served_elsewhere_and_stays(t):
    gate = t.gate()

    def holds(connection):
        while True:
            if connection.request().target == "/hold":
                gate.wait()
            connection.answer()
    s1, s2 = t.backend("s1", holds), t.backend("s2", holds)
    lb = t.lb(pool(f"{s1} name=s1 max_inflight=1", f"{s2} name=s2 max_inflight=1", more=COOKIE))
    answer = t.get(lb)
    home, cookie = answer.text, {"Cookie": cookie_of(answer)}
    held = t.client(lb)
    held.ask("GET", "/hold", cookie)
    t.wait(lambda: any(each.target == "/hold" for each in s1.requests + s2.requests), "its backend is full")
    elsewhere = t.get(lb, "/", cookie)
    assert elsewhere.status == 200 and elsewhere.text != home and elsewhere.get("Set-Cookie") is None
    gate.open()
    assert held.answer().text == home
    assert t.get(lb, "/", cookie).text == home
