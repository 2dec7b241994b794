#!/usr/bin/python3
"""The harness itself: a story that fails must fail and say why, whoever in it went wrong."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# Stands in for the binary: does what its configuration's first line says.
FAKE = r"""#!/usr/bin/python3
import os, signal, sys
how = open(sys.argv[2]).readline()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7 if "status" in how else 0))
if "child" in how:
    ready, tell = os.pipe()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(tell, b"!")
        signal.pause()
    os.read(ready, 1)
if "report" in how:
    print("==1==ERROR: AddressSanitizer: heap-use-after-free", file=sys.stderr, flush=True)
print("the log of a fake", file=sys.stderr, flush=True)
if "early" in how:
    sys.exit(3)
signal.pause()
"""

HEAD = "def test_planted(t):\n"
LB = "    t.lb('[{}]\\n', ready=False).wait_log('the log')\n"

STORIES = {
    # name: (story, whether it holds, what the output must say)
    "good": ("    assert t.get(t.backend('s1').port and ('127.0.0.1', t.backend('s2').port)).text == 's2'\n", True, "1 of 1 held"),
    "assertion": ("    assert t.get(('127.0.0.1', t.backend('s1').port)).text == 's2'\n", False, "sends 'GET / HTTP/1.1"),
    "wait in vain": ("    t.wait(lambda: False, 'the impossible', within=0.1)\n", False, "the impossible"),
    "script fails": ("    def script(c):\n        c.request()\n        assert False, 'script says no'\n"
                     "    client = t.client(('127.0.0.1', t.backend('s1', script).port))\n    client.ask('GET')\n"
                     "    client.expect_gone()\n    t.wait(lambda: t._failures, 'noted')\n", False, "script says no"),
    "no http": ("    def script(c):\n        c.request()\n        c.send('HTTP/1.1 200 OK\\nContent-Length: 0\\r\\n\\r\\n')\n"
                "    t.get(('127.0.0.1', t.backend('s1', script).port))\n", False, "Malformed"),
    "cut": ("    def script(c):\n        c.request()\n        c.send('HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nhal')\n"
            "    t.get(('127.0.0.1', t.backend('s1', script).port))\n", False, "Ended"),
    "too slow": ("    with t.lasts(at_least=5):\n        pass\n", False, "not 5 to 10"),
    "lb holds": (LB.format("plain"), True, "1 of 1 held"),
    "lb ends early": ("    lb = t.lb('[early]\\n', ready=False)\n    t.wait(lambda: not lb.is_running(), 'its end')\n", False, "ended by itself with status 3"),
    "lb ends with a wrong status": (LB.format("status"), False, "ended with status 7"),
    "lb leaves a child": (LB.format("child"), False, "left processes behind"),
    "sanitizer": (LB.format("report"), False, "a sanitizer reports"),
}


def main():
    with tempfile.TemporaryDirectory(prefix="lb-harness-") as directory:
        fake = os.path.join(directory, "fake")
        with open(fake, "w", encoding="utf-8") as file:
            file.write(FAKE)
        os.chmod(fake, 0o755)
        for name, (story, holds, says) in STORIES.items():
            path = os.path.join(directory, "test_planted.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(HEAD + story)
            done = subprocess.run([sys.executable, os.path.join(HERE, "run.py"), "--lb", fake, path], capture_output=True, text=True,
                                  check=False, timeout=60, env={**os.environ, "LB_STORY_PATIENCE": "1"})
            output = done.stdout + done.stderr
            assert done.returncode == (0 if holds else 1), f"{name}: status {done.returncode}\n{output}"
            assert says in output, f"{name}: {says!r} is not in\n{output}"
    print(f"{len(STORIES)} stories ended as they had to")


if __name__ == "__main__":
    main()
