"""lb without a file: the two flags, what they mean, and what is said."""
import os

from lbtest import pool


def start(t, *arguments, **more):
    return t.lb(argv=list(arguments), ready=False, **more)


def test_backends_and_port(t):
    s1, s2, port = t.backend("s1"), t.backend("s2"), t.free_port()
    lb = start(t, f"--backends=http://localhost:{s1.port},http://localhost:{s2.port}", f"--port={port}")
    t.wait(lambda: serves(t, port), "it serves")
    assert {t.get(("127.0.0.1", port)).text for _ in range(4)} == {"s1", "s2"}
    for backend in (s1, s2):
        lb.wait_log(f"localhost:{backend.port}")
    lb.signal("TERM")
    assert lb.wait_status() == 0


def serves(t, port):
    try:
        return t.get(("127.0.0.1", port)).status == 200
    except OSError:
        return False


def test_single_dashes_and_separate_values(t):
    s1 = t.backend("s1")
    for form in ((f"-backends=http://127.0.0.1:{s1.port}", "-port={}"), ("-backends", f"http://127.0.0.1:{s1.port}", "-port", "{}"),
                 ("--backends", f"http://127.0.0.1:{s1.port}", "--port", "{}")):
        port = t.free_port()
        lb = start(t, *(part.format(port) for part in form))
        t.wait(lambda port=port: serves(t, port), "it serves")
        lb.signal("TERM")
        assert lb.wait_status() == 0


def test_a_backend_that_dies_is_noticed_by_its_checks(t):
    s1, s2, port = t.backend("s1"), t.backend("s2"), t.free_port()
    lb = start(t, f"--backends=http://127.0.0.1:{s1.port},http://127.0.0.1:{s2.port}", f"--port={port}")
    t.wait(lambda: serves(t, port), "it serves")
    s1.dies()
    lb.wait_log(f"127.0.0.1:{s1.port}", "down", within=30)
    assert {t.get(("127.0.0.1", port)).text for _ in range(4)} == {"s2"}


def test_at_debug_each_choice_is_logged(t):
    s1, port = t.backend("s1"), t.free_port()
    lb = start(t, f"--backends=http://127.0.0.1:{s1.port}", f"--port={port}", "-g", "error_log = stderr debug")
    t.wait(lambda: serves(t, port), "it serves")
    mark = len(lb.log)
    t.get(("127.0.0.1", port), "/chosen")
    lb.wait_log("debug", f"127.0.0.1:{s1.port}", since=mark)


def test_localhost_is_ipv6_too(t):
    import socket
    s1, port = t.backend("s1", family=socket.AF_INET6), t.free_port()
    start(t, f"--backends=http://localhost:{s1.port}", f"--port={port}")
    t.wait(lambda: serves(t, port), "127.0.0.1 refuses and ::1 answers")


def test_what_can_be_no_name_is_a_clear_error(t):
    for name in ("backend..example", "back!end.example"):
        outcome = t.run(f"--backends=http://{name}:80", f"--port={t.free_port()}")
        assert outcome.status == 2 and name in outcome.err, (name, outcome)


def test_what_makes_no_sense_is_an_error(t):
    for backends in ("", "http://", "ftp://127.0.0.1:80", "http://127.0.0.1:0", "http://127.0.0.1:99999", "https://127.0.0.1:443",
                     "http://127.0.0.1:80,,http://127.0.0.1:81"):
        outcome = t.run(f"--backends={backends}", "--port=3030", "-t")
        assert outcome.status == 2 and outcome.err.strip(), (backends, outcome)
    outcome = t.run("--backends=http://127.0.0.1:80", "--port=x", "-t")
    assert outcome.status == 2 and "port" in outcome.err, outcome


def test_the_default_port_is_3030(t):
    outcome = t.run("--backends=http://127.0.0.1:8081", "-T")
    assert outcome.status == 0 and ":3030" in outcome.out, outcome


def test_a_user_who_is_not_root_needs_no_directory(t):
    if os.getuid() == 0:
        return  # the other half of this test is every other test
    port = t.free_port()
    lb = start(t, f"--backends=http://127.0.0.1:{t.backend().port}", f"--port={port}")
    t.wait(lambda: serves(t, port), "it serves")
    assert any(name.endswith("control.sock") for _, _, files in os.walk(t.directory) for name in files)
    assert lb.is_running()


def test_a_file_and_the_quick_start_together_are_a_usage_error(t):
    path = t.write("a.ini", pool("127.0.0.1:1"))
    outcome = t.run("-c", path, "--backends=http://127.0.0.1:80", "-t")
    assert outcome.status == 2 and outcome.err.strip(), outcome


def test_the_example_backends_are_in_the_same_binary(t):
    ports = [t.free_port() for _ in range(3)]
    lb = start(t, "demo", *map(str, ports))
    for port in ports:
        t.wait(lambda port=port: serves(t, port), "the example answers")
        assert str(port) in t.get(("127.0.0.1", port), "/any/path").text
        assert t.get(("127.0.0.1", port), "/healthcheck").status == 200
    lb.signal("TERM")
    assert lb.wait_status() == 0
