"""lb under a service manager: what it tells, and that the death or the restart of the master loses nobody."""
import glob
import os
import signal
import socket

from lbtest import pool


def waits(gate):
    def script(connection):
        while True:
            request = connection.request()
            if request.target == "/wait":
                gate.wait()
            connection.answer()
    return script


def web(t, backend, port=None, more=""):
    port = port or t.free_port()
    return ("127.0.0.1", port), f"[listener web]\nbind = 127.0.0.1:{port}\npool = app\n" + pool(backend) + more


def dies(t, lb):
    """The master, and nobody else."""
    lb.kill(lb.pid)
    t.wait(lambda: not lb.is_running(), "the master is dead")
    lb._ended_as_wanted = True


def old_workers_end(t, lb):
    t.wait(lb.all_gone, "the workers of the earlier master have ended", 15)


def dead_with_a_request_open(t):
    """A master that died; its workers have one request open and one connection at rest."""
    gate = t.gate()
    address, text = web(t, t.backend("s1", waits(gate)))
    service = t.service(text)
    first = service.start()
    busy, idle = t.client(address), t.client(address)
    assert idle.get("/").text == "s1"
    busy.ask("GET", "/wait")
    t.wait(lambda: service.names("lb.life."), "the manager has the line")
    dies(t, first)
    return gate, text, service, first, busy, idle


def quits_when_they_are_done(t, second, first, gate, busy, idle):
    """The second master is told to quit; what the workers of the first have open is finished before it ends."""
    second.signal("QUIT")
    idle.expect_gone()
    assert second.is_running(), "an earlier worker has a request open"
    gate.open()
    assert busy.answer().text == "s1"
    assert second.wait_status() == 0
    old_workers_end(t, first)


def test_the_manager_is_told_when_lb_serves_and_what_it_does(t):
    address, text = web(t, t.backend("s1"))
    service = t.service(text, environment={"WATCHDOG_USEC": "900000"})
    lb = service.start()
    line = service.wait_said("STATUS", "generation 1: 2 workers, 1 of 1 backend up")
    assert service.said.index(line) < service.said.index(service.wait_said("READY")), "the line is there when it serves"
    assert t.get(address).text == "s1"
    service.wait_said("WATCHDOG", "1")
    mark = len(service.said)
    service.wait_said("WATCHDOG", "1", since=mark)  # again and again
    mark = len(service.said)
    assert lb.command("reload").status == 0
    begin, end = service.wait_said("RELOADING", "1", since=mark), service.wait_said("READY", "1", since=mark)
    assert service.said.index(begin, mark) < service.said.index(end, mark)
    assert int(begin["MONOTONIC_USEC"]) > 0
    service.wait_said("STATUS", "generation 2", since=mark)
    assert lb.command("quit").status == 0
    service.wait_said("STOPPING", "1")
    assert lb.wait_status() == 0


def test_a_failed_reload_shows_in_the_status_line_until_one_succeeds(t):
    address, text = web(t, t.backend("s1"))
    service = t.service(text)
    lb = service.start()
    mark = len(service.said)
    service.configure(text + "[pool app2]\nretrys = 3\n")
    assert lb.command("reload").status == 1
    service.wait_said("READY", "1", since=mark)
    service.wait_said("STATUS", "reload failed", since=mark)
    service.configure(text)
    mark = len(service.said)
    assert lb.command("reload").status == 0
    message = service.wait_said("STATUS", "generation 2", since=mark)
    assert "failed" not in message["STATUS"]
    assert t.get(address).text == "s1"


def test_without_a_watchdog_nobody_feeds_one(t):
    _, text = web(t, t.backend("s1"))
    service = t.service(text, environment={"WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"})
    lb = service.start()
    assert lb.command("reload").status == 0
    assert not [message for message in service.said if "WATCHDOG" in message], "it is another process's watchdog"


def test_nobody_is_refused_while_there_is_no_master(t):
    gate = t.gate()
    address, text = web(t, t.backend("s1", waits(gate)))
    service = t.service(text)
    first = service.start()
    busy, idle = t.client(address), t.client(address)
    assert idle.get("/").text == "s1"
    busy.ask("GET", "/wait")
    t.wait(lambda: len(service.names("lb.listen.")) == 2, "the manager keeps a socket for each worker")
    dies(t, first)
    for _ in range(20):
        assert t.get(address).text == "s1", "the workers go on without it"
    second = service.start()
    assert second.pid != first.pid
    for _ in range(20):
        assert t.get(address).text == "s1"
    answer = idle.get("/")
    assert answer.text == "s1" and answer.get("Connection") == "close", "its worker drains: the last answer, not a cut"
    gate.open()
    assert busy.answer().text == "s1", "what was open is finished"
    old_workers_end(t, first)
    assert t.get(address).text == "s1"
    t.wait(lambda: len(service.names("lb.life.")) == 1, "the line of the dead has been dropped")
    assert len(service.names("lb.listen.")) == 2, "the same sockets as before"


def test_workers_without_a_master_accept_for_as_long_as_it_takes(t):
    address, text = web(t, t.backend("s1"))
    service = t.service(text)
    first = service.start()
    t.wait(lambda: service.names("lb.life."), "the manager has the line")
    dies(t, first)
    first.wait_log("the master is gone", "another one's workers")
    service.configure(text + "[pool x]\nnonsense = 1\n")
    broken = service.start(ready=False)
    t.wait(lambda: not broken.is_running(), "a master with a broken file gives up")
    broken._ended_as_wanted = True
    assert t.get(address).text == "s1", "and the old workers serve"
    service.configure(text)
    second = service.start()
    old_workers_end(t, first)
    assert t.get(address).text == "s1"
    assert second.command("quit").status == 0
    assert second.wait_status() == 0


def test_handing_over_is_a_restart_that_nobody_notices(t):
    gate = t.gate()
    path = t.path("web.sock")
    address, text = web(t, t.backend("s1", waits(gate)), more=f"[listener local]\nbind = unix:{path}\npool = app\n")
    service = t.service(text)
    first = service.start()
    busy, idle = t.client(address), t.client(path)
    assert idle.get("/").text == "s1"
    busy.ask("GET", "/wait")
    t.wait(lambda: len(service.names("lb.listen.")) == 3 and service.names("lb.life."), "the manager keeps everything")
    outcome = first.command("handover")
    assert outcome.status == 0, outcome
    t.wait(lambda: not first.is_running(), "the master ends")
    assert first._process.returncode == 0
    first._ended_as_wanted = True
    service.wait_said("STOPPING", "1")
    assert not os.path.exists(first.control) and not os.path.exists(first.pid_file)
    assert t.get(address).text == "s1" and t.get(path).text == "s1", "its workers go on"
    second = service.start()
    assert t.get(address).text == "s1" and t.get(path).text == "s1"
    answer = idle.get("/")
    assert answer.text == "s1" and answer.get("Connection") == "close"
    gate.open()
    assert busy.answer().text == "s1"
    old_workers_end(t, first)
    assert os.path.exists(path)
    assert second.command("quit").status == 0
    assert second.wait_status() == 0
    assert not os.path.exists(path), "in the end the file goes"
    t.wait(lambda: not service.names("lb.listen."), "and the manager has nothing left to keep")


def test_without_a_manager_there_is_nobody_to_hand_over_to(t):
    lb = t.lb(pool(t.backend("s1")))
    outcome = lb.command("handover")
    assert outcome.status == 1 and "service manager" in outcome.err, outcome
    assert t.get(lb).text == "s1"


def test_quit_waits_for_the_workers_of_earlier_masters_too(t):
    gate, _, service, first, busy, idle = dead_with_a_request_open(t)
    second = service.start()
    quits_when_they_are_done(t, second, first, gate, busy, idle)


def test_the_end_of_the_service_is_the_end_of_all_workers(t):
    address, text = web(t, t.backend("s1", waits(t.gate())))
    service = t.service(text)
    first = service.start()
    busy = t.client(address)
    busy.ask("GET", "/wait")
    t.wait(lambda: service.names("lb.life."), "the manager has the line")
    dies(t, first)
    second = service.start()
    second.wait_log("the workers of an earlier master drain")
    assert second.command("stop").status == 0
    assert second.wait_status() == 0
    service.stop()
    old_workers_end(t, first)


def test_a_manager_that_keeps_nothing_leaves_workers_their_grace(t):
    address, text = web(t, t.backend("s1"))
    service = t.service(text, keeps=False)
    lb = service.start()
    dies(t, lb)
    assert t.get(address).text == "s1"
    old_workers_end(t, lb)


def test_what_the_next_configuration_does_not_name_is_closed(t):
    s1 = t.backend("s1")
    path = t.path("gone.sock")
    old, text = web(t, s1, more=f"[listener local]\nbind = unix:{path}\npool = app\n")
    service = t.service(text)
    first = service.start()
    t.wait(lambda: len(service.names("lb.listen.")) == 3 and service.names("lb.life."), "the manager keeps everything")
    new, text = web(t, s1)
    service.configure("[global]\nworkers = 1\n" + text)
    service.workers = 1
    dies(t, first)
    second = service.start()
    assert t.get(new).text == "s1"
    t.wait(lambda: len(service.names("lb.listen.")) == 1, "one socket is left", 15)
    old_workers_end(t, first)

    def refused():
        with socket.socket() as probe:
            return probe.connect_ex(old) != 0
    t.wait(refused, "the old address is refused", 15)
    t.wait(lambda: not os.path.exists(path), "and the file of the old unix socket is gone")
    assert second.is_running()


def test_fewer_workers_after_a_restart_take_what_the_many_left(t):
    s1 = t.backend("s1")
    address, text = web(t, s1)
    service = t.service(text, workers=4)
    first = service.start()
    t.wait(lambda: len(service.names("lb.listen.")) == 4 and service.names("lb.life."), "four sockets are kept")
    service.workers = 2
    service.configure(text)
    assert first.command("handover").status == 0
    t.wait(lambda: not first.is_running(), "the master ends")
    first._ended_as_wanted = True
    second = service.start()
    for _ in range(40):
        assert t.get(address).text == "s1"
    t.wait(lambda: len(service.names("lb.listen.")) == 2, "two sockets are left", 15)
    old_workers_end(t, first)
    for victim in second.workers()[:1]:
        second.kill(victim)
        for _ in range(40):
            assert t.get(address).text == "s1", "the dead one's queue is steered around or lent"


def test_more_restarts_than_generations_close_the_oldest(t):
    gate = t.gate()
    s1 = t.backend("s1", waits(gate))
    address, text = web(t, s1)
    service = t.service("[global]\nmax_generations = 2\n" + text)
    masters, clients = [], []
    for number in (1, 2, 3):
        lb = service.start()
        masters.append(lb)
        client = t.client(address)
        client.ask("GET", "/wait")
        clients.append(client)
        t.wait(lambda number=number: len(s1.requests) == number and f"lb.life.{number}" in service.names("lb.life."), "kept")
        if number < 3:
            dies(t, lb)
    masters[2].wait_log("closed early", "max_generations")
    old_workers_end(t, masters[0])
    clients[0].expect_gone()
    gate.open()
    assert clients[1].answer().text == "s1" and clients[2].answer().text == "s1"


def test_odd_descriptors_and_names_are_refused_and_forgotten(t):
    address, text = web(t, t.backend("s1"))
    service = t.service(text)
    mine, other = socket.socketpair()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    for each in (mine, other, udp, listening):
        t.closes(each)
    odd = [("lb.listen.0.0.1", mine), ("lb.listen.0.0.2", udp), ("lb.listen.x", listening), ("lb.listen.", listening),
           ("lb.listen.99999999999.0.1", listening), ("lb.life.", mine), ("lb.life.7", listening), ("lb.what", mine),
           ("lb.listen.0.0.4.1.1", listening)]
    service.store += [(name, os.dup(sock.fileno())) for name, sock in odd]
    lb = service.start()
    assert t.get(address).text == "s1"
    for name, _ in odd:
        service.wait_said("FDNAME", name)
    t.wait(lambda: not [name for name, _ in service.kept() if name in dict(odd)], "none of them is kept")
    assert lb.command("quit").status == 0
    assert lb.wait_status() == 0


def test_a_master_that_died_between_two_steps_is_followed_all_the_same(t):
    # One of three sockets is missing from what was kept: the order in the kernel's group is not known.
    address, text = web(t, t.backend("s1"))
    service = t.service(text, workers=3)
    first = service.start()
    t.wait(lambda: len(service.names("lb.listen.")) == 3 and service.names("lb.life."), "three sockets are kept")
    lost = service.names("lb.listen.1.")[0]
    service.lose(lost)
    dies(t, first)
    second = service.start()
    second.wait_log("in the middle of a change")
    old_workers_end(t, first)
    for _ in range(30):
        assert t.get(address).text == "s1"
    assert second.command("quit").status == 0
    assert second.wait_status() == 0


def test_a_start_that_fails_takes_no_unix_socket_from_the_workers_that_serve(t):
    path = t.path("web.sock")
    address, text = web(t, t.backend("s1"), more=f"[listener local]\nbind = unix:{path}\npool = app\n")
    service = t.service(text)
    first = service.start()
    t.wait(lambda: len(service.names("lb.listen.")) == 3 and service.names("lb.life."), "the manager keeps everything")
    dies(t, first)
    service.configure(text + f"[listener more]\nbind = 127.0.0.1:{t.socket().port}\npool = app\n")
    broken = service.start(ready=False)
    t.wait(lambda: not broken.is_running(), "a master whose port is taken gives up")
    broken._ended_as_wanted = True
    assert t.get(address).text == "s1" and t.get(path).text == "s1"
    service.configure(text)
    second = service.start()
    old_workers_end(t, first)
    assert t.get(address).text == "s1" and t.get(path).text == "s1"
    assert second.command("quit").status == 0
    assert second.wait_status() == 0
    assert not os.path.exists(path)


def test_a_socket_file_on_its_way_out_does_not_outlive_two_masters(t):
    path = t.path("web.sock")
    s1 = t.backend("s1")
    address, text = web(t, s1, more=f"[listener local]\nbind = unix:{path}\npool = app\n")
    service = t.service(text)
    first = service.start()
    t.wait(lambda: len(service.names("lb.listen.")) == 3 and service.names("lb.life."), "the manager keeps everything")
    old = first.workers()
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    client = t.client(path)
    client.ask("GET", "/")
    service.configure(web(t, s1, port=address[1])[1])
    first.signal("HUP")
    t.wait(lambda: not os.path.exists(path), "its name is gone, it is not: somebody is in its queue")
    dies(t, first)
    second = service.start(ready=False)
    for pid in old:
        os.kill(pid, signal.SIGCONT)
    assert client.answer().text == "s1"
    client.close()
    old_workers_end(t, first)
    t.wait(lambda: not glob.glob(path + "*"), "the file is removed")
    assert second.is_running()


def test_an_address_that_goes_with_a_restart_serves_who_is_in_its_queue(t):
    s1 = t.backend("s1")
    address, text = web(t, s1)
    service = t.service(text)
    first = service.start()
    t.wait(lambda: len(service.names("lb.listen.")) == 2 and service.names("lb.life."), "the manager keeps everything")
    old = first.workers()
    for pid in old:
        os.kill(pid, signal.SIGSTOP)
    dies(t, first)
    clients = [t.client(address) for _ in range(300)]
    for client in clients:
        client.ask("GET", "/")
    new, text = web(t, s1)
    service.configure(text)
    mark = len(service.said)
    second = service.start(ready=False)
    t.wait(lambda: len(second.workers()) == 2, "there are new workers")
    assert t.get(new).text == "s1"
    for pid in old:
        os.kill(pid, signal.SIGCONT)
    for client in clients:
        assert client.answer().text == "s1"
    service.wait_said("READY", "1", since=mark)
    for client in clients:
        client.close()
    old_workers_end(t, first)


def test_quit_before_the_next_master_serves_lets_the_earlier_workers_finish(t):
    gate, text, service, first, busy, idle = dead_with_a_request_open(t)
    slow = f"[pool slow]\nbackend = 127.0.0.1:{t.socket().port}\ncheck = http GET / interval=60s timeout=60s\n"
    service.configure(text + slow)
    mark = len(service.said)
    second = service.start(ready=False)
    service.wait_said("STATUS", "starting", since=mark)
    service.wait_said("EXTEND_TIMEOUT_USEC", since=mark)  # a start may take as long as a check
    quits_when_they_are_done(t, second, first, gate, busy, idle)


def test_many_sockets_are_kept_as_fast_as_the_manager_listens(t):
    # The kernel may hold as few as ten messages for it.
    s1 = t.backend("s1")
    address, text = web(t, s1)
    listeners = "".join(f"[listener l{i}]\nbind = 127.0.1.{i}:{address[1]}\npool = app\n" for i in range(59))
    service = t.service(text + listeners, workers=20)
    lb = service.start()
    assert len(service.names("lb.listen.")) == 1200
    assert t.get(address).text == "s1"
    assert lb.command("quit").status == 0
    assert lb.wait_status() == 0


def test_nothing_is_handed_over_that_the_manager_has_not_taken(t):
    s1 = t.backend("s1")
    address, text = web(t, s1)
    listeners = "".join(f"[listener l{i}]\nbind = 127.0.1.{i}:{address[1]}\npool = app\n" for i in range(99))
    service = t.service(text + listeners, workers=8)  # more than the kernel holds for it
    service.hears.clear()
    lb = service.start(ready=False)
    lb.wait_log("generation 1 serves")
    outcome = lb.command("handover")
    assert outcome.status == 1 and "not taken" in outcome.err, outcome
    assert t.get(address).text == "s1"
    service.hears.set()
    service.wait_said("READY", "1")
    assert lb.command("handover").status == 0
    t.wait(lambda: not lb.is_running(), "the master ends")
    lb._ended_as_wanted = True
    second = service.start()
    assert t.get(address).text == "s1"
    old_workers_end(t, lb)
    assert second.command("quit").status == 0
    assert second.wait_status() == 0


def test_a_socket_unit_may_be_called_lb_socket(t):
    _, text = web(t, t.backend("s1"))
    listening = t.socket()
    service = t.service(text + "[listener unit]\nbind = fd:3\npool = app\n")
    service.store.append(("lb.socket", os.dup(listening.sock.fileno())))  # systemd hands those of units out first
    first = service.start()
    assert t.get(listening.address).text == "s1"
    t.wait(lambda: len(service.names("lb.listen.")) == 2 and service.names("lb.life."), "the manager keeps the others")
    assert first.command("handover").status == 0
    t.wait(lambda: not first.is_running(), "the master ends")
    first._ended_as_wanted = True
    second = service.start()
    assert t.get(listening.address).text == "s1"
    old_workers_end(t, first)
    assert t.get(listening.address).text == "s1"
    assert service.names("lb.socket") and second.is_running()
