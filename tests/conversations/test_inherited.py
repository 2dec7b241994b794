"""Sockets that came from whoever started lb: kept over reloads, never closed, shared by all workers."""
import socket

from lbtest import pool


def test_an_inherited_socket_serves_over_reloads(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1), workers=2)
    assert t.get(lb).text == "s1"
    for backend in (s2, s1, s2):
        lb.reload(pool(backend))
        assert t.get(lb).text == backend.name


def test_a_connection_made_before_lb_started_is_served(t):
    # Bound and listening, nobody there yet: the kernel queues it.
    early = t.socket()
    client = t.client(early)
    client.ask("GET", "/early")
    t.lb(f"[listener web]\nbind = {early}\n" + pool(t.backend("s1")), sockets=[early])
    assert client.answer().text == "s1"


def test_an_inherited_ipv6_socket_and_an_ipv6_backend(t):
    six = t.socket(socket.AF_INET6)
    s1 = t.backend("s1", family=socket.AF_INET6)
    lb = t.lb(f"[listener web]\nbind = {six}\n" + pool(s1), sockets=[six], workers=2)
    assert t.get(six).text == "s1"
    assert s1.requests[0].get("X-Forwarded-For") == "::1"
    lb.reload()
    assert t.get(six).text == "s1"


def test_a_number_that_is_no_listening_socket_is_an_error(t):
    for number, what in ((99, "fd:99"), (0, "fd:0")):
        path = t.write("bad.ini", f"[global]\ncontrol = {t.path('c')}\npid_file = {t.path('p')}\n[admin]\nbind = off\n"
                                  f"[listener web]\nbind = fd:{number}\n")
        outcome = t.run("-c", path)
        assert outcome.status == 1 and what in outcome.err, outcome


def test_accept_reuseport_still_shares_an_inherited_socket(t):
    lb = t.lb("[global]\naccept = reuseport\n" + pool(t.backend("s1")), workers=3)
    for _ in range(30):
        assert t.get(lb).text == "s1"
    for worker in lb.workers()[:2]:
        lb.kill(worker)
    for _ in range(10):
        assert t.get(lb).text == "s1", "whoever lives takes the next connection"
