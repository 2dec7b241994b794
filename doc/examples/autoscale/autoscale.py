#!/usr/bin/python3
"""Starts and stops backends of one pool of lb by what lb says it needs: an example of /api/v1/pools/POOL/load.

    autoscale.py --pool app --token-file admin.token [--admin 127.0.0.1:9145] [--min 1] [--max 8]

Each backend is a process (backend.py) that is registered for a few seconds at a time. If this program dies, its
registrations run out by themselves. Before a backend is stopped it is drained: lb sends it nothing new, and it ends when
nothing is in flight there. One line is printed for each decision. Only the loopback is used.
"""
import argparse
import http.client
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))


class Refused(Exception):
    """lb answered, and not with 200."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Admin:
    """The admin port of lb."""

    def __init__(self, address, token):
        self.host, port = address.rsplit(":", 1)
        self.host, self.port, self.token = self.host.strip("[]"), int(port), token
        if not ipaddress.ip_address(self.host).is_loopback:
            raise SystemExit(f"{self.host} is not on the loopback; this is an example")

    def ask(self, method, *parts, body=None):
        path = "/api/v1/" + "/".join(urllib.parse.quote(part, safe="") for part in parts)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            headers = {"Authorization": f"Bearer {self.token}"} if method != "GET" else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status != 200:
            raise Refused(answer.status, text.strip())
        return json.loads(text)


class Hysteresis:
    """From what is wanted each second to how many there should be. Up soon and by as many as are missing; down late and one
    at a time: a backend too many costs little, one too few is felt by everybody."""

    def __init__(self, least, most, up_after, down_after):
        self.least, self.most, self.up_after, self.down_after = least, most, up_after, down_after
        self.above = self.below = 0  # looks in a row

    def decide(self, wanted, have):
        wanted = max(self.least, min(self.most, wanted))
        if have < self.least:
            return self.least
        self.above = self.above + 1 if wanted > have else 0
        self.below = self.below + 1 if wanted < have else 0
        if self.above >= self.up_after:
            self.above = 0
            return wanted
        if self.below >= self.down_after:
            self.below = 0
            return have - 1
        return have


class Backend:
    """One process, its name in the pool, and whether it is being drained."""

    def __init__(self, number, options):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "backend.py"), "--service-time", str(options.service_time),
             "--slots", str(options.slots)], stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"
        # Never the name of an earlier one: what an operator or a drain left behind was about that.
        self.name = f"auto-{os.getpid()}-{number}"
        self.renewed = 0.0
        self.draining_since = None
        self.idle = 0  # looks in a row at which nothing was in flight


class Autoscaler:
    def __init__(self, options):
        with open(options.token_file, encoding="utf-8") as file:
            self.admin = Admin(options.admin, file.read().strip())
        self.options = options
        self.hysteresis = Hysteresis(options.min, options.max, options.up_after, options.down_after)
        self.backends = []
        self.started = 0
        self.begun = time.monotonic()

    def say(self, text):
        print(f"{time.monotonic() - self.begun:7.1f}s  {text}", flush=True)

    def serving(self):
        return [each for each in self.backends if each.draining_since is None]

    # -- one backend

    def start(self):
        self.started += 1
        backend = Backend(self.started, self.options)
        self.backends.append(backend)
        self.renew(backend)
        self.say(f"start {backend.name} at {backend.address}")

    def renew(self, backend):
        self.admin.ask("PUT", "pools", self.options.pool, "backends", backend.name,
                       body={"address": backend.address, "ttl": self.options.ttl})
        backend.renewed = time.monotonic()

    def drain(self, backend):
        self.admin.ask("PATCH", "pools", self.options.pool, "backends", backend.name, body={"state": "drain"})
        backend.draining_since = time.monotonic()
        self.say(f"drain {backend.name}")

    def stop(self, backend, why):
        try:
            self.admin.ask("DELETE", "pools", self.options.pool, "backends", backend.name)
        except Refused as refused:
            if refused.status != 404:  # its time may have run out
                self.say(f"lb says {refused}")
        finally:
            backend.process.terminate()
            backend.process.wait()
            self.backends.remove(backend)
        self.say(f"stop  {backend.name}: {why}")

    # -- all of them, once a second

    def bury(self):
        """A process that died is no backend; its registration would keep it in the pool until its time runs out."""
        for backend in [each for each in self.backends if each.process.poll() is not None]:
            self.stop(backend, f"it ended by itself with {backend.process.returncode}")

    def finish_drains(self):
        leaving = [each for each in self.backends if each.draining_since is not None]
        if not leaving:
            return
        pool = self.admin.ask("GET", "pools", self.options.pool)
        in_flight = {each["name"]: each["in_flight"] for each in pool["backends"]}
        for backend in leaving:
            # Twice: a worker may have chosen it just before the drain.
            backend.idle = backend.idle + 1 if in_flight.get(backend.name, 0) == 0 else 0
            if backend.idle >= 2:
                self.stop(backend, f"drained in {time.monotonic() - backend.draining_since:.1f}s")

    def look(self):
        self.bury()
        for backend in self.backends:  # a draining one too: it must be known until it is idle
            if time.monotonic() - backend.renewed > self.options.ttl / 3:
                self.renew(backend)
        self.finish_drains()
        load = self.admin.ask("GET", "pools", self.options.pool, "load")
        if load["wanted_backends"] is None:
            raise SystemExit(f"pool {self.options.pool} has no target_inflight: lb cannot tell how many it needs")
        have = len(self.serving())
        target = self.hysteresis.decide(load["wanted_backends"], have)
        if target != have:
            self.say(f"{have} -> {target} backends: rate {load['rate']}/s, in flight {load['in_flight']['mean']}, "
                     f"queued {load['queued']}, wanted {load['wanted_backends']}")
        for _ in range(target - have):
            self.start()
        for backend in self.serving()[target:]:
            self.drain(backend)

    def run(self):
        while True:
            begun = time.monotonic()
            try:
                self.look()
            except (OSError, http.client.HTTPException, Refused) as error:
                self.say(f"lb cannot be asked: {error}")
            time.sleep(max(0.1, self.options.interval - (time.monotonic() - begun)))

    def end(self):
        for backend in list(self.backends):
            try:
                self.stop(backend, "the autoscaler ends")
            except (OSError, http.client.HTTPException) as error:
                self.say(f"lb cannot be asked: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--admin", default="127.0.0.1:9145", help="the admin port of lb")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--token-file", required=True, help="the one of token_file in [admin]")
    parser.add_argument("--min", type=int, default=1)
    parser.add_argument("--max", type=int, default=8)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two looks")
    parser.add_argument("--up-after", type=int, default=2, help="looks in a row before one is started")
    parser.add_argument("--down-after", type=int, default=10, help="looks in a row before one is drained")
    parser.add_argument("--ttl", type=float, default=10, help="seconds that a registration lasts")
    parser.add_argument("--service-time", type=float, default=0.1, help="of each backend, in seconds")
    parser.add_argument("--slots", type=int, default=8, help="requests that a backend serves at a time")
    options = parser.parse_args()
    if not 0 <= options.min <= options.max:
        parser.error("--min must not be above --max")
    scaler = Autoscaler(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        scaler.run()
    except KeyboardInterrupt:
        pass
    finally:
        scaler.end()


if __name__ == "__main__":
    main()
