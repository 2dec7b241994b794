"""Time as the cases count it: seconds during which the proxy demonstrably answered.

A case often ends with silence: nothing more comes, the connection stays open, nothing reached the backend. How long silence
must last to mean something depends on how busy the machine is. So a pulse, a plain request on a connection of its own,
goes through the same proxy (one worker: one event loop) and through the threads of this process again and again, and only
as much of the time counts as the pulses kept pace with. While lb or this process waits for a processor the clock stands, and
every wait gets longer. It never runs faster than time.
"""
import socket
import threading
import time

EVERY = 0.02  # seconds from one pulse to the next
MOST = 0.05   # that one pulse can add: a proxy that took longer was not proven awake meanwhile
PATIENCE = 15.0  # seconds after which a pulse without an answer counts as one: the proxy is dead, and cases must end

REQUEST = b"GET /__sanity HTTP/1.1\r\nHost: lb.test\r\nConnection: close\r\n\r\n"


class Clock:
    """Without a pulse (a proxy that somebody else started) it is plain time."""

    def now(self):
        return time.monotonic()

    def latest(self):
        return time.monotonic()

    def lost(self):
        """Seconds that did not count, since some moment."""
        return 0.0

    def fence(self):
        """Until what the proxy had taken in before is done with."""
        time.sleep(0.05)

    def wait(self, seconds, condition=lambda: False):
        """So many counted seconds, or until the condition holds; returns what it returned."""
        end = self.latest() + seconds
        while True:
            value = condition()
            left = end - self.now()
            if value or left <= 0:
                return value
            self.tick(left)

    def tick(self, left):
        time.sleep(min(left, 0.01))

    def end(self):
        pass


class Pulse(Clock):
    def __init__(self, address):
        self.address = address
        self.changed = threading.Condition()
        self.counted = 0.0
        self.completed = 0
        self.at = time.monotonic()  # when the last one completed
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._beat, daemon=True)
        self.thread.start()

    def _beat(self):
        while not self.stop.is_set():
            begin = time.monotonic()
            alive = self._round_trip()
            with self.changed:
                now = time.monotonic()
                # A proxy that is gone must not make everybody wait for ever: their cases fail for what they see.
                self.counted += min(now - self.at, MOST) if alive else now - self.at
                self.at = now
                self.completed += 1
                self.changed.notify_all()
            self.stop.wait(max(0.0, EVERY - (time.monotonic() - begin)) if alive else EVERY)

    def _round_trip(self):
        try:
            with socket.create_connection(self.address, timeout=PATIENCE) as sock:
                sock.sendall(REQUEST)
                answer = b""
                while True:
                    data = sock.recv(4096)
                    if not data:
                        return answer.startswith(b"HTTP/1.1 200")
                    answer += data
        except OSError:
            return False

    def now(self):
        """What is proven."""
        with self.changed:
            return self.counted

    def latest(self):
        """What will be proven once the pulse under way is back; for the begin of a wait."""
        with self.changed:
            return self.counted + min(time.monotonic() - self.at, MOST)

    def lost(self):
        with self.changed:
            return self.at - self.counted

    def fence(self):
        """Until a pulse that began after this call is back: what the worker had taken in before has been seen to by then."""
        with self.changed:
            wanted = self.completed + 2
            self.changed.wait_for(lambda: self.completed >= wanted, 4 * PATIENCE)

    def tick(self, left):
        with self.changed:
            self.changed.wait(min(left, 0.1))

    def end(self):
        self.stop.set()
        self.thread.join()
