"""Backends that come and go while lb serves: names, service records, files; and what happens when nobody knows."""
import http.client
import os
import socket
import threading

from lbtest import pool
from lbtest.dnsmasq import NameServer, Placed, placed


class Load:
    """Requests without a pause, some on connections that are kept; every answer that is no 200 is noted."""

    def __init__(self, t, lb, threads=3):
        self.t, self.lb = t, lb
        self.failed, self.answers = [], 0
        self.last = {}  # thread to the backend that answered last
        self._ends = threading.Event()
        t.closes(self)
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]
        for each in self._threads:
            each.start()

    def _run(self, number):
        kept = None
        while not self._ends.is_set():
            try:
                kept = kept or http.client.HTTPConnection(*self.lb.address, timeout=10)
                kept.request("GET", "/")
                response = kept.getresponse()
                body = response.read().decode()
                if response.status != 200:
                    self.failed.append(f"status {response.status}")
                self.last[number] = body
                self.answers += 1
                if number == 0 or response.will_close:
                    kept.close()
                    kept = None
            except OSError as error:
                self.failed.append(repr(error))
                kept = None
        if kept:
            kept.close()

    def goes_on(self, answers=200):
        before = self.answers
        self.t.wait(lambda: self.answers >= before + answers, f"{answers} more answers", within=20)

    def close(self):
        """A story that fails takes its load with it: the port soon belongs to another one's lb."""
        self._ends.set()

    def ends(self):
        self.close()
        for each in self._threads:
            each.join(20)
        assert not self.failed, f"{len(self.failed)} of {self.answers} requests failed: {self.failed[:5]}"
        assert self.answers > 0


def names(t, lb, count=12):
    return {t.get(lb).text for _ in range(count)}


def answer(t, lb, *wanted):
    """All of these answer, and nobody else does. Other clients ask meanwhile and may take every second turn, so it can need more
    than a few requests to meet each of them."""
    seen = names(t, lb)
    t.wait(lambda: seen.update(names(t, lb, 1)) or seen >= set(wanted), f"all of {wanted} answer")
    assert seen == set(wanted), seen


def discovered(lb, pool="app"):
    one = next(each for each in lb.status()["pools"] if each["name"] == pool)
    return {backend["name"]: backend["health"] for backend in one["backends"]}


def app(more, settings=""):
    return settings + "[pool app]\n" + more


# -- each address of a name


def test_the_addresses_of_a_name_are_backends_and_lb_follows_them_under_load(t):
    s2, s3, s4 = placed(t, 3)
    ns = NameServer(t, {"app.test": [s2.host, s3.host]})
    lb = t.lb(app(f"discover = dns app.test:{s2.port}\n", ns.settings()), workers=2)
    answer(t, lb, "s2", "s3")
    load = Load(t, lb)
    load.goes_on()
    ns.says({"app.test": [s3.host, s4.host]})
    lb.wait_log(str(s4), "joined")
    lb.wait_log(str(s2), "left")
    t.wait(lambda: names(t, lb) == {"s3", "s4"}, "the new set serves")
    load.goes_on()
    load.ends()
    lb.wait_metric(1, "lb_pool_membership_changes_total", pool="app", change="added")
    lb.wait_metric(1, "lb_pool_membership_changes_total", pool="app", change="removed")
    assert lb.metric("lb_resolver_queries_total", result="ok") >= 4
    t.wait(lambda: set(discovered(lb)) == {str(s3), str(s4)}, "the status shows who is there")


def test_one_that_is_found_is_used_after_its_first_check(t):
    s2, s3 = placed(t, 2)
    s3.check_status = 503
    ns = NameServer(t, {"app.test": [s2.host]})
    lb = t.lb(app(f"discover = dns app.test:{s2.port}\ncheck = http GET /healthz interval=200ms timeout=200ms rise=1 fall=1\n",
                  ns.settings()))
    ns.says({"app.test": [s2.host, s3.host]})
    lb.wait_log(str(s3), "joined")
    t.wait(lambda: discovered(lb).get(str(s3)) == "down", "its check fails")
    assert names(t, lb) == {"s2"} and not s3.requests
    s3.check_status = 200
    t.wait(lambda: names(t, lb) == {"s2", "s3"}, "it passes and is used")
    ns.says({"app.test": [s2.host]})
    lb.wait_log(str(s3), "left")
    t.wait(lambda: str(s3) not in discovered(lb), "it is gone")
    before, checked = len(s3.checks), len(s2.checks)
    t.wait(lambda: len(s2.checks) >= checked + 4, "others are checked on")
    assert len(s3.checks) == before, "nobody checks what left"


def test_an_answer_without_addresses_or_a_dead_name_server_empties_no_pool(t):
    s2, s3 = placed(t, 2)
    ns = NameServer(t, {"app.test": [s2.host, s3.host]})
    text = app(f"discover = dns app.test:{s2.port}\n", ns.settings())
    lb = t.lb(text)
    load = Load(t, lb)
    load.goes_on()
    ns.says({})
    lb.wait_log("cannot resolve app.test", "no such name", "kept")
    answer(t, lb, "s2", "s3")
    ns.dies()
    failed = lb.metric("lb_resolver_queries_total", result="failed")
    t.wait(lambda: lb.metric("lb_resolver_queries_total", result="failed") > failed, "it asked in vain", within=30)
    answer(t, lb, "s2", "s3")
    # A reload begins with what is known, and does not wait for what it knows.
    lb.reload()
    answer(t, lb, "s2", "s3")
    load.goes_on()
    load.ends()
    ns.starts()
    ns.says({"app.test": [s3.host]})
    t.wait(lambda: names(t, lb) == {"s3"}, "the answer counts again", within=60)


def test_a_reload_keeps_what_was_found_and_adds_what_is_written(t):
    s2, s3, s4 = placed(t, 3)
    ns = NameServer(t, {"app.test": [s2.host, s3.host]})
    lb = t.lb(app(f"discover = dns app.test:{s2.port}\n", ns.settings()), workers=2)
    load = Load(t, lb)
    for _ in range(3):
        lb.reload()
        load.goes_on(50)
    # One that was found is written down now as well: it is there once.
    lb.reload(app(f"discover = dns app.test:{s2.port}\nbackend = {s3}\nbackend = {s4}\n", ns.settings()))
    t.wait(lambda: sorted(discovered(lb)) == sorted(map(str, (s2, s3, s4))), "each is shown once")
    load.goes_on()
    load.ends()  # two clients and this one would each meet the same of three backends again and again
    answer(t, lb, "s2", "s3", "s4")
    assert not any("left" in line and "backend" in line for line in lb.log)


# -- a name as one backend


def test_a_backend_given_by_name_moves_with_its_address_and_loses_nothing(t):
    s2, s3 = placed(t, 2)
    ns = NameServer(t, {"db.test": [s2.host]})
    lb = t.lb(app(f"backend = db.test:{s2.port}\nkeepalive_timeout = 1h\n", ns.settings()), workers=2)
    answer(t, lb, "s2")
    load = Load(t, lb)
    load.goes_on()
    ns.says({"db.test": [s3.host]})
    lb.wait_log(f"db.test:{s2.port}", str(s3), "not", str(s2))
    # The connections that workers kept lead to the old address and are not used again.
    t.wait(lambda: set(load.last.values()) == {"s3"}, "all requests go to the new address")
    load.goes_on()
    load.ends()
    answer(t, lb, "s3")
    lb.wait_metric(0, "lb_pool_membership_changes_total", pool="app", change="added")
    assert list(discovered(lb)) == [f"db.test:{s2.port}"], "it is the same backend"


def test_the_addresses_of_a_backend_are_tried_in_order(t):
    s2, s3 = placed(t, 2)
    ns = NameServer(t, {"db.test": [s2.host, s3.host]})
    lb = t.lb(app(f"backend = db.test:{s2.port}\ncheck = tcp interval=200ms timeout=200ms rise=1 fall=1\n", ns.settings()))
    answer(t, lb, "s2")
    s2.dies()
    answer(t, lb, "s3")
    assert discovered(lb) == {f"db.test:{s2.port}": "up"}


def test_a_name_that_does_not_resolve_is_a_backend_that_is_down_until_it_does(t):
    s1, = placed(t, 1, first=5)
    s2 = Placed(t, "s2", "127.0.0.2", s1.port)
    s2.listens()
    ns = NameServer(t, {"other.test": ["127.0.0.9"]})
    for check in ("off", "tcp interval=200ms timeout=200ms rise=2 fall=2"):
        lb = t.lb(app(f"backend = {s1}\nbackend = db.test:{s1.port} name=db\ncheck = {check}\n", ns.settings()))
        lb.wait_log("cannot resolve db.test", "no such name")
        answer(t, lb, "s5")
        assert discovered(lb)["db"] == "down"
        lb.wait_log("backend db is down", "cannot resolve db.test")
        ns.says({"other.test": ["127.0.0.9"], "db.test": [s2.host]})
        t.wait(lambda lb=lb: names(t, lb) == {"s5", "s2"}, "it resolves and serves", within=20)
        lb.wait_log("db.test", "resolved again")
        ns.says({"other.test": ["127.0.0.9"]})


def test_lb_starts_while_no_name_server_answers(t):
    s2, = placed(t, 1)
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    t.closes(silent)
    with t.lasts(1.5, 15):
        lb = t.lb(f"[resolver default]\nnameserver = 127.0.0.1:{silent.getsockname()[1]}\n" +
                  pool(s2, f"db.test:{s2.port}", more=f"discover = dns app.test:{s2.port}\n"))
    answer(t, lb, "s2")
    lb.wait_log("not every name has an answer yet")


def test_a_reload_with_another_name_server_asks_it_at_once(t):
    s2, = placed(t, 1)
    ns = NameServer(t, {"db.test": [s2.host]})
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    t.closes(silent)
    body = app(f"backend = db.test:{s2.port} name=db\n")
    lb = t.lb(f"[resolver default]\nnameserver = 127.0.0.1:{silent.getsockname()[1]}\n" + body)
    assert discovered(lb)["db"] == "down"
    lb.reload(ns.settings() + body)
    assert t.get(lb).text == "s2", "while the first one is still waited for"
    assert not any("not every name" in line for line in lb.log[lb.log.index(next(
        line for line in lb.log if "reloading" in line)):])


def test_one_source_that_brings_too_many_holds_up_nobody_else(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    path = t.path("app.list")
    members(t, path, s1)
    text = app(f"discover = file {path}\n")
    for i in range(7):
        large = t.path(f"large{i}.list")
        members(t, large, *(f"10.{i}.{j // 250}.{j % 250 + 1}:9" for j in range(9900)))
        text += f"[pool large{i}]\ncheck = off\ndiscover = file {large}\n"
    lb = t.lb(text)
    lb.wait_log("not all members found can join", "full")
    answer(t, lb, "s1")
    lb.wait_log("members found cannot join", "full", within=30)
    members(t, path, s2)
    t.wait(lambda: names(t, lb) == {"s2"}, "the others are followed", within=30)


def test_a_configuration_is_tested_without_asking_anybody(t):
    asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asked.bind(("127.0.0.1", 0))
    asked.setblocking(False)
    t.closes(asked)
    t.write("lb.ini", f"[global]\ncontrol = {t.path('c')}\npid_file = {t.path('p')}\n[admin]\nbind = off\n"
            f"[resolver default]\nnameserver = 127.0.0.1:{asked.getsockname()[1]}\n"
            f"[listener web]\nbind = 127.0.0.1:{t.free_port()}\npool = app\n"
            "[pool app]\nbackend = db.test:80\ndiscover = dns app.test:80\ndiscover = dns srv=_http._tcp.test\n")
    outcome = t.run("-t", "-c", t.path("lb.ini"))
    assert outcome.status == 0, outcome
    try:
        raise AssertionError(f"it asked: {asked.recv(512)!r}")
    except BlockingIOError:
        pass


# -- service records


def test_service_records_bring_ports_weights_and_backups(t):
    s2, s3, s4 = t.backend("s2"), t.backend("s3"), t.backend("s4")
    services = [("_http._tcp.test", "a.test", s2.port, 10, 30), ("_http._tcp.test", "b.test", s3.port, 10, 10),
                ("_http._tcp.test", "c.test", s4.port, 20, 5)]
    ns = NameServer(t, {name: ["127.0.0.1"] for name in ("a.test", "b.test", "c.test")}, services)
    lb = t.lb(app("discover = dns srv=_http._tcp.test\ncheck = tcp interval=200ms timeout=200ms rise=1 fall=1\n", ns.settings()),
              workers=2)
    assert set(discovered(lb)) == {f"a.test:{s2.port}", f"b.test:{s3.port}", f"c.test:{s4.port}"}
    t.wait(lambda: discovered(lb)[f"c.test:{s4.port}"] == "up", "all were checked")
    answers = [t.get(lb).text for _ in range(40)]
    assert (answers.count("s2"), answers.count("s3"), answers.count("s4")) == (30, 10, 0), answers
    s2.dies()
    s3.dies()
    t.wait(lambda: t.get(lb).text == "s4", "the backup serves when no primary does")
    s2.listens()
    t.wait(lambda: names(t, lb) == {"s2"}, "and no longer when one does")
    # Other weights, one place less.
    ns.dies()
    ns.starts([("_http._tcp.test", "a.test", s2.port, 10, 5), ("_http._tcp.test", "c.test", s4.port, 10, 5)])
    lb.wait_log(f"b.test:{s3.port}", "left", within=60)
    t.wait(lambda: [t.get(lb).text for _ in range(20)].count("s4") == 10, "half and half")


# -- files


def members(t, path, *lines):
    """Written aside and put in its place."""
    t.write(os.path.basename(path) + ".new", "".join(f"{line}\n" for line in lines))
    os.rename(path + ".new", path)


def test_a_file_adds_and_removes_backends_under_load(t):
    s1, s2, s3 = t.backend("s1"), t.backend("s2"), t.backend("s3")
    path = t.path("app.list")
    members(t, path, "# who is there", s1, f"{s2} weight=1 name=second")
    lb = t.lb(app(f"discover = file {path}\n"), workers=2)
    answer(t, lb, "s1", "s2")
    load = Load(t, lb)
    load.goes_on()
    for lines, wanted in (((s1, s2, s3), {"s1", "s2", "s3"}), ((s3,), {"s3"}), ((s1, s3), {"s1", "s3"})):
        members(t, path, *lines)
        t.wait(lambda wanted=wanted: names(t, lb) == wanted, f"{wanted} serve")
        load.goes_on()
    load.ends()
    lb.wait_log("second", "left")
    t.wait(lambda: set(discovered(lb)) == {str(s1), str(s3)}, "the status knows")


def test_a_bad_file_keeps_the_set_and_is_named_with_its_line(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    path = t.path("app.list")
    members(t, path, s1)
    lb = t.lb(app(f"discover = file {path}\n"))
    members(t, path, s2, "127.0.0.1:99999")
    lb.wait_log(f"{path}:2:", "the port must be 1 to 65535", "the last set stays")
    answer(t, lb, "s1")
    os.unlink(path)
    lb.wait_log(path, "No such file", "the last set stays")
    lb.reload()
    answer(t, lb, "s1")
    members(t, path, s2)
    t.wait(lambda: names(t, lb) == {"s2"}, "the mended file counts")
    lb.wait_log(path, "read again")


def test_a_file_that_is_missing_at_the_start_stops_nobody(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    path = t.path("later.list")
    lb = t.lb(app(f"backend = {s1}\ndiscover = file {path}\n"))
    lb.wait_log(path, "No such file")
    answer(t, lb, "s1")
    members(t, path, s2)
    t.wait(lambda: names(t, lb) == {"s1", "s2"}, "it is noticed")


def test_thousands_come_and_go_and_the_log_stays_readable(t):
    s1 = t.backend("s1")
    path = t.path("app.list")
    members(t, path, s1)
    lb = t.lb(app(f"discover = file {path}\n"))
    many = [f"127.1.{i // 250}.{i % 250 + 1}:9 backup" for i in range(5000)]
    members(t, path, s1, *many)
    lb.wait_log("5000 joined and 0 left", within=30)
    t.wait(lambda: t.get(lb).status == 200, "it serves")
    members(t, path, s1)
    lb.wait_log("0 joined and 5000 left", within=30)
    assert sum("joined" in line for line in lb.log) < 60
    lb.wait_metric(5000, "lb_pool_membership_changes_total", pool="app", change="removed")
    lb.wait_metric(1, "lb_pool_backends", pool="app", state="up", within=20)
