"""A new configuration under traffic: what changes, what carries over, and what a mistake costs (nothing)."""
import threading

from lbtest import Reset, pool


def waits(gate):
    def script(connection):
        while True:
            request = connection.request()
            if request.target == "/wait":
                gate.wait()
            connection.answer()
    return script


def test_a_new_backend_is_used_once_the_command_returned(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1))
    assert t.get(lb).text == "s1"
    outcome = lb.reload(pool(s2))
    assert outcome.out.strip(), "the result is printed"
    assert {t.get(lb).text for _ in range(5)} == {"s2"}
    assert lb.metric("lb_config_generation") == 2
    lb.wait_metric(1, "lb_reloads_total", result="ok")


def test_sighup_reloads_too(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1))
    lb.configure(pool(s2))
    lb.signal("HUP")
    lb.wait_metric(2, "lb_config_generation")
    t.wait(lambda: t.get(lb).text == "s2", "the new backend answers")


def test_a_bad_file_is_refused_and_nothing_changes(t):
    s1 = t.backend("s1")
    lb = t.lb(pool(s1), workers=2)
    workers = lb.workers()
    client = t.client(lb)
    assert client.get("/").text == "s1"
    lb.configure(pool(s1, more="retrys = 2\nconnect_timeout = 2\n"))
    outcome = lb.command("reload")
    lines = {text: number for number, text in enumerate(lb.config.splitlines(), 1)}
    assert outcome.status == 1, outcome
    assert f"{lb.config_path}:{lines['retrys = 2']}: [pool app] retrys: unknown key; did you mean 'retries'?" in outcome.err, outcome
    assert f"{lb.config_path}:{lines['connect_timeout = 2']}: [pool app] connect_timeout" in outcome.err, outcome
    assert lb.workers() == workers
    assert client.get("/").get("Connection") is None, "the old generation goes on"
    assert lb.metric("lb_config_generation") == 1
    lb.wait_metric(1, "lb_reloads_total", result="failed")
    lb.wait_log("retrys")


def test_counters_cursor_and_health_carry_over(t):
    s1, s2, s3 = t.backend("s1"), t.backend("s2"), t.backend("s3")
    down = t.refusing("down")
    text = pool(s1, s2, s3, down, more="check = tcp interval=300ms timeout=300ms rise=1 fall=1\n")
    lb = t.lb(text)
    lb.wait_metric(0, "lb_backend_up", backend=str(down))
    order = [t.get(lb).text for _ in range(4)]
    lb.wait_metric(4, "lb_requests_total", pool="app", class_="2xx")
    before = {backend: lb.metric("lb_backend_requests_total", backend=str(backend)) for backend in (s1, s2, s3)}
    lb.reload(text)
    assert lb.metric("lb_requests_total", pool="app", class_="2xx") == 4
    assert lb.metric("lb_listener_requests_total", listener="web", class_="2xx") == 4
    assert {backend: lb.metric("lb_backend_requests_total", backend=str(backend)) for backend in before} == before
    assert lb.metric("lb_backend_up", backend=str(down)) == 0 and lb.metric("lb_backend_up", backend=str(s1)) == 1
    order += [t.get(lb).text for _ in range(5)]
    assert order == (order[:3] * 3), f"the cursor went on over the reload: {order}"
    assert down.connections == 0


def test_a_removed_backends_requests_are_not_forgotten(t):
    s1, s2 = t.backend("s1"), t.backend("s2")
    lb = t.lb(pool(s1, s2))
    for _ in range(6):
        t.get(lb)
    lb.wait_metric(6, "lb_requests_total", pool="app")
    lb.reload(pool(s1))
    lb.wait_metric(6, "lb_requests_total", pool="app")
    lb.wait_metric(3, "lb_pool_retired_requests_total", pool="app")
    t.wait(lambda: all(labels.get("backend") != str(s2) for _, labels, _ in lb.samples()), "its counters leave /metrics")


def test_a_kept_client_is_told_to_go_and_no_new_connection_fails(t):
    lb = t.lb(pool(t.backend("s1")))
    client = t.client(lb)
    assert client.get("/").get("Connection") is None
    stop, failed, served = threading.Event(), [], []

    def asks_on_fresh_connections():
        while not stop.is_set():
            try:
                answer = t.get(lb)
                (served if answer.status == 200 else failed).append(answer.status)
            except Exception as error:  # noqa: BLE001 - each kind of failure counts
                failed.append(repr(error))
    traffic = threading.Thread(target=asks_on_fresh_connections)
    traffic.start()
    try:
        t.wait(lambda: len(served) >= 20, "traffic flows")
        for _ in range(3):
            lb.reload()
            mark = len(served)
            t.wait(lambda want=mark + 20: len(served) >= want or failed, "traffic flows on")
    finally:
        stop.set()
        traffic.join()
    assert not failed, failed[:5]


def test_an_open_exchange_is_finished_by_the_old_generation(t):
    gate = t.gate()
    s1 = t.backend("s1", waits(gate))
    lb = t.lb(pool(s1))
    old, = lb.workers()
    busy = t.client(lb)
    busy.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    lb.reload()
    assert old in lb.children(), "it drains"
    assert lb.metric("lb_backend_in_flight") == 1
    assert t.get(lb).text == "s1"
    gate.open()
    answer = busy.answer()
    assert answer.text == "s1" and answer.get("Connection").lower() == "close"
    busy.expect_end()
    t.wait(lambda: old not in lb.children(), "the old worker ends")
    lb.wait_metric(0, "lb_backend_in_flight")


def test_an_idle_client_of_the_old_generation_gets_a_close_not_a_reset(t):
    lb = t.lb(pool(t.backend("s1")))
    client = t.client(lb)
    assert client.get("/").text == "s1"
    lb.reload()
    # Either the next answer says close, or the connection was ended in order while it was idle; never a reset.
    try:
        answer = client.get("/")
        assert answer.get("Connection").lower() == "close"
        client.expect_end()
    except Reset:
        assert client.ended and not client.buffer


def test_drain_timeout_ends_the_old_generation(t):
    gate = t.gate()
    text = "[global]\ndrain_timeout = 1s\n" + pool(t.backend("s1", waits(gate)))
    lb = t.lb(text)
    old, = lb.workers()
    busy = t.client(lb)
    busy.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    lb.reload()
    t.wait(lambda: old not in lb.children(), "the old worker ends", within=5)
    busy.expect_gone()
    lb.wait_metric(1, "lb_generations_closed_early_total")
    gate.open()


def test_max_generations_closes_the_oldest_early(t):
    gate = t.gate()
    lb = t.lb("[global]\nworkers = 1\nmax_generations = 2\n" + pool(t.backend("s1", waits(gate))))
    first, = lb.workers()
    busy = []
    for _ in range(2):
        client = t.client(lb)
        client.ask("GET", "/wait")
        busy.append(client)
        lb.wait_metric(len(busy), "lb_backend_in_flight")
        lb.reload()
    # The second reload would have made a third generation: the first one made room, and its exchange was cut.
    t.wait(lambda: first not in lb.children(), "the first generation ends")
    busy[0].expect_gone()
    lb.wait_metric(1, "lb_generations_closed_early_total")
    gate.open()
    assert busy[1].answer().status == 200


def test_a_listener_is_added_and_removed(t):
    extra = t.socket()
    s1 = t.backend("s1")
    second = f"[listener second]\nbind = {extra}\npool = app\n"
    lb = t.lb("[listener web]\n" + pool(s1), sockets=[extra])
    lb.reload("[listener web]\n" + second + pool(s1))
    assert t.get(extra).text == "s1" and t.get(lb).text == "s1"
    lb.reload("[listener web]\n" + pool(s1))
    assert t.get(lb).text == "s1"
    t.wait(lambda: all(labels.get("listener") != "second" for _, labels, _ in lb.samples()), "its counters leave /metrics")


def test_a_port_is_opened_and_given_back(t):
    s1, port = t.backend("s1"), t.free_port()
    lb = t.lb("[listener web]\n" + pool(s1), workers=2)
    for _ in range(2):
        lb.reload(f"[listener web]\n[listener second]\nbind = 127.0.0.1:{port}\npool = app\n" + pool(s1))
        assert t.get(("127.0.0.1", port)).text == "s1"
        lb.reload("[listener web]\n" + pool(s1))

        def refuses():
            try:
                t.client(("127.0.0.1", port)).close()
                return False
            except ConnectionRefusedError:
                return True
        t.wait(refuses, "the port is closed")


def test_a_port_that_is_taken_refuses_the_reload(t):
    s1, taken = t.backend("s1"), t.socket()
    lb = t.lb("[listener web]\n" + pool(s1))
    lb.configure(f"[listener web]\n[listener second]\nbind = 127.0.0.1:{taken.port}\n" + pool(s1))
    outcome = lb.command("reload")
    assert outcome.status == 1 and str(taken.port) in outcome.err, outcome
    assert t.get(lb).text == "s1" and lb.metric("lb_config_generation") == 1


def test_the_number_of_workers_changes(t):
    s1, port = t.backend("s1"), t.free_port()
    lb = t.lb(f"[listener web]\nbind = 127.0.0.1:{port}\n" + pool(s1), workers=1)
    for wanted in (3, 2):
        lb.workers_wanted = wanted
        lb.reload(f"[listener web]\nbind = 127.0.0.1:{port}\n" + pool(s1))
        t.wait(lb.all_workers, f"{wanted} workers")
        for _ in range(20):
            assert t.get(("127.0.0.1", port)).text == "s1"
    lb.wait_metric(2, "lb_workers", state="serving")


def test_a_new_backend_gets_its_first_verdict_before_the_new_generation(t):
    s1, bad = t.backend("s1"), t.backend("bad")
    bad.check_status = 500
    check = "check = http GET /healthz interval=300ms timeout=300ms rise=1 fall=3\n"
    lb = t.lb(pool(s1, more=check))
    lb.reload(pool(s1, bad, more=check))
    assert {t.get(lb).text for _ in range(6)} == {"s1"}
    assert not bad.requests


def test_ten_reloads_leave_ten_generations_ended(t):
    lb = t.lb(pool(t.backend("s1")), workers=2)
    for _ in range(10):
        lb.reload()
    t.wait(lb.all_workers, "only the last generation lives")
    assert lb.metric("lb_config_generation") == 11
    assert t.get(lb).text == "s1"
