"""Who lives, who dies, and what is left: the master, its workers and the admin process."""
import os
import re
import signal

from lbtest import pool
from lbtest.balancer import descriptors


def waits(gate):
    def script(connection):
        while True:
            request = connection.request()
            if request.target == "/wait":
                gate.wait()
            connection.answer()
    return script


def test_every_process_says_what_it_is(t):
    lb = t.lb(pool(t.backend()), workers=2)
    titles = sorted(lb.children().values())
    assert titles == ["lb: admin", "lb: worker 0", "lb: worker 1"], titles
    lb.wait_metric(2, "lb_workers")


def test_a_worker_takes_no_more_connections_than_it_may(t):
    gate = t.gate()
    s1 = t.backend("s1", waits(gate))
    lb = t.lb("[global]\nworkers = 1\nconnections = 2\n" + pool(s1))
    first, second = t.client(lb), t.client(lb)
    for busy in (first, second):
        busy.ask("GET", "/wait")
    lb.wait_metric(2, "lb_backend_in_flight")
    third = t.client(lb)
    third.ask("GET", "/waits")
    t.wait(lambda: lb.metric("lb_accept_pauses_total", reason="limit") >= 1, "accepting pauses")
    assert lb.metric("lb_client_connections") == 2
    gate.open()
    assert third.answer().status == 200  # it waited in the queue
    assert first.answer().status == second.answer().status == 200


def test_a_killed_worker_is_replaced_and_its_requests_are_no_longer_counted(t):
    gate = t.gate()
    s1 = t.backend("s1", waits(gate))
    lb = t.lb(pool(s1))
    victim, = lb.workers()
    assert t.get(lb).text == "s1"
    lb.wait_metric(1, "lb_requests_total", pool="app", class_="2xx")
    waiting = t.client(lb)
    waiting.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    with t.lasts(at_most=1.5):
        lb.kill(victim)
        t.wait(lambda: lb.workers() not in ([victim], []), "another worker lives")
        assert t.get(lb, "/after").text == "s1"
    waiting.expect_gone()
    lb.wait_metric(0, "lb_backend_in_flight", within=1)
    assert lb.metric("lb_client_connections") <= 1, "the dead one's connections are not counted as open"
    # What it counted in its life stays.
    assert lb.metric("lb_requests_total", pool="app", class_="2xx") >= 2
    lb.wait_metric(1, "lb_worker_deaths_total", cause="signal")
    lb.wait_log("worker 0", str(victim))
    gate.open()


def test_a_new_worker_holds_only_descriptors_of_its_own(t):
    first = t.socket()
    s1 = t.backend("s1")
    lb = t.lb(f"[listener web]\n[listener second]\nbind = {first}\npool = app\n" +
              pool(s1, more="check = tcp interval=300ms timeout=300ms\n"), sockets=[first], workers=4)
    assert t.get(lb).text == "s1"
    siblings = lb.workers()
    victim = siblings[1]
    lb.kill(victim)
    newcomer, = t.wait(lambda: len(lb.workers()) == 4 and set(lb.workers()) - set(siblings), "a fourth worker lives")
    old, new = siblings[0], newcomer
    t.wait(lambda: len(descriptors(new)) >= 5 and any("eventpoll" in what for what in descriptors(new).values()), "it is set up")

    def kinds(pid):
        held = descriptors(pid)
        sockets = sorted(what for what in held.values() if what.startswith("socket:"))
        return sockets, sorted(re.sub(r"\[\d+\]", "", what) for what in held.values() if not what.startswith("socket:"))
    new_sockets, new_rest = kinds(new)
    _, old_rest = kinds(old)
    assert new_rest.count("anon_inode:[eventpoll]") == 1, new_rest
    # Two listeners, one channel; and perhaps a connection to the backend or from a client, of which there is none now.
    assert len(new_sockets) == 3, f"{new_sockets}; its descriptors: {descriptors(new)}"
    admin_port = f"socket:[{os.fstat(lb.admin_socket.sock.fileno()).st_ino}]"
    assert admin_port not in new_sockets, "the operator's port is not a worker's"
    shared_with = [pid for pid in lb.workers() + [lb.admin_pid()] if pid != new]
    listeners = {f"socket:[{os.fstat(each.sock.fileno()).st_ino}]" for each in (lb.listener, first)}
    for pid in shared_with:
        assert set(kinds(pid)[0]) & set(new_sockets) <= listeners, f"{new} and {pid} share a channel"
    assert sorted(set(new_rest)) == sorted(set(old_rest)), "a later child has what a first one has, and no more"


def test_a_killed_admin_process_is_replaced_and_traffic_does_not_notice(t):
    lb = t.lb(pool(t.backend("s1")))
    client = t.client(lb)
    assert client.get("/").text == "s1"
    victim = lb.admin_pid()
    lb.kill(victim)
    t.wait(lambda: lb.admin_pid() not in (None, victim), "another admin process lives")
    assert client.get("/").text == "s1"
    lb.wait_metric(1, "lb_child_deaths_total", child="admin")
    assert lb.metric("lb_requests_total", pool="app") == 2


def test_workers_outlive_a_killed_master_for_a_grace_and_then_end(t):
    gate = t.gate()
    lb = t.lb(pool(t.backend("s1", waits(gate))), workers=2)
    busy = t.client(lb)
    busy.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    workers = lb.workers()
    mark = len(lb.log)
    lb.kill(lb.pid)
    for _ in workers:
        lb.wait_log("master", "worker", since=mark, within=2)
    assert t.get(lb).text == "s1", "new connections are still served"
    gate.open()
    assert busy.answer().text == "s1", "and what was open is finished"
    with t.lasts(1, 9):
        assert lb.wait_status(within=9) == -signal.SIGKILL


def stops(t, how, gone=True):
    lb = t.lb(pool(t.backend("s1")), workers=2)
    idle = t.client(lb)
    assert idle.get("/").text == "s1"
    assert os.path.exists(lb.control) and os.path.exists(lb.pid_file)
    with t.lasts(at_most=5):
        how(lb)
        assert lb.wait_status() == 0
    idle.expect_gone()
    assert not os.path.exists(lb.control) and not os.path.exists(lb.pid_file), "what it made is removed"


def test_sigterm_stops(t):
    stops(t, lambda lb: lb.signal("TERM"))


def test_sigint_stops(t):
    stops(t, lambda lb: lb.signal("INT"))


def test_sigquit_stops_an_idle_one_too(t):
    stops(t, lambda lb: lb.signal("QUIT"))


def test_command_stop_stops(t):
    def tell(lb):
        outcome = lb.command("stop")
        assert outcome.status == 0, outcome
    stops(t, tell)


def test_stop_cuts_what_is_open(t):
    gate = t.gate()
    lb = t.lb(pool(t.backend("s1", waits(gate))))
    busy = t.client(lb)
    busy.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    with t.lasts(at_most=4):
        lb.signal("TERM")
        assert lb.wait_status() == 0
    busy.expect_gone()
    gate.open()


def test_quit_finishes_what_is_open_and_takes_nothing_new(t):
    gate = t.gate()
    lb = t.lb("[global]\nerror_log = stderr debug\n" + pool(t.backend("s1", waits(gate))))
    busy = t.client(lb)
    busy.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    lb.signal("QUIT")
    lb.wait_log("draining 1 connection")
    assert lb.is_running()
    gate.open()
    answer = busy.answer()
    assert answer.text == "s1" and answer.get("Connection").lower() == "close"
    busy.expect_end()
    assert lb.wait_status() == 0


def test_quit_timeout_ends_the_patience(t):
    gate = t.gate()
    lb = t.lb("[global]\nquit_timeout = 500ms\n" + pool(t.backend("s1", waits(gate))))
    busy = t.client(lb)
    busy.ask("GET", "/wait")
    lb.wait_metric(1, "lb_backend_in_flight")
    with t.lasts(0.3, 5):
        lb.signal("QUIT")
        assert lb.wait_status() == 0
    busy.expect_gone()
    gate.open()


def test_sigwinch_and_sigusr2_mean_nothing(t):
    lb = t.lb(pool(t.backend("s1")))
    lb.signal("WINCH")
    lb.signal("USR2")
    for pid in lb.workers():
        os.kill(pid, signal.SIGWINCH)
        os.kill(pid, signal.SIGUSR2)
    assert t.get(lb).text == "s1" and lb.command("status").status == 0


def test_the_terminals_ctrl_c_for_the_whole_group_is_an_orderly_stop(t):
    lb = t.lb(pool(t.backend("s1")), workers=2)
    t.note(lb.who, "the whole group is sent SIGINT")
    os.killpg(lb.pid, signal.SIGINT)
    assert lb.wait_status() == 0
    assert not any("signal" in line and "worker" in line and " error " in line.lower() for line in lb.log)


def test_the_control_socket_answers_with_the_state(t):
    lb = t.lb(pool(t.backend("s1")), workers=2)
    outcome = lb.command("status")
    assert outcome.status == 0 and str(lb.pid) in outcome.out, outcome
    for pid in lb.workers():
        assert str(pid) in outcome.out, outcome
    assert os.stat(lb.control).st_mode & 0o777 == 0o660


def test_an_unknown_command_is_a_usage_error(t):
    lb = t.lb(pool(t.backend("s1")))
    assert lb.command("restart").status == 2
    assert t.get(lb).text == "s1"


def test_a_command_without_a_running_lb_fails_and_says_so(t):
    lb = t.lb(pool(t.backend("s1")))
    lb.signal("TERM")
    assert lb.wait_status() == 0
    outcome = lb.command("status")
    assert outcome.status == 1 and lb.control in outcome.err, outcome


def test_a_command_needs_only_the_control_key_of_the_file(t):
    lb = t.lb(pool(t.backend("s1")))
    with open(lb.config_path, "a", encoding="utf-8") as file:
        file.write("\n[nonsense]\nwhat = ever\n")
    assert lb.command("status").status == 0


def test_the_pid_file_names_the_master(t):
    lb = t.lb(pool(t.backend("s1")))
    assert t.read(os.path.basename(lb.pid_file)).strip() == str(lb.pid)


def test_a_second_lb_with_the_same_files_is_refused_and_the_first_stays(t):
    lb = t.lb(pool(t.backend("s1")))
    outcome = lb.run("-c", lb.config_path)
    assert outcome.status == 1 and outcome.err.strip(), outcome
    assert lb.command("status").status == 0 and t.get(lb).text == "s1"
    assert os.path.exists(lb.pid_file)


def test_a_daemon_returns_when_it_serves_and_ends_on_command(t):
    s1, port = t.backend("s1"), t.free_port()
    path = t.write("daemon.ini", f"""
        [global]
        daemon = on
        workers = 1
        control = {t.path('daemon.sock')}
        pid_file = {t.path('daemon.pid')}
        error_log = {t.path('daemon.log')} info
        [admin]
        bind = off
        [listener web]
        bind = 127.0.0.1:{port}
        pool = app
        [pool app]
        backend = {s1}
        check = off
        """.replace("        ", ""))
    try:
        # Its output is a pipe here, whose end is waited for: a daemon lets go of its caller's terminal in every process.
        outcome = t.run("-c", path, timeout=20)
        assert outcome.status == 0, outcome
        assert t.get(("127.0.0.1", port)).text == "s1", "it serves as soon as the command returned"
        assert t.read("daemon.pid").strip().isdigit()
    finally:
        stopped = t.run("-c", path, "-s", "stop")
    assert stopped.status == 0, stopped
    assert t.read("daemon.pid") == ""
