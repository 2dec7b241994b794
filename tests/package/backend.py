#!/usr/bin/env python3
"""backend.py NAME PORT: a backend on 127.0.0.1 whose slow answers end when the test says so.

Owns: one listening socket, and a list of the requests that it holds back.
Never: ends by itself; looks up a name.

  /               NAME
  /hold/KEY       no byte until /release/KEY, then NAME
  /halves/KEY     the first half of a megabyte, the second after /release/KEY
  /slow/SECONDS   NAME, after that time
  /held           the keys that are held back now, one on a line (of /slow, the seconds)
  /release/KEY    lets it go on
"""
import http.server
import socketserver
import sys
import threading
import time

NAME = sys.argv[1]
HALF = b"x" * (512 * 1024)
held = {}
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def head(self, length):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def answer(self, text):
        body = text.encode() + b"\n"
        self.head(len(body))
        self.wfile.write(body)

    def hold(self, key):
        event = threading.Event()
        with lock:
            held[key] = event
        return event

    def let_go(self, key):
        with lock:
            event = held.pop(key, None)
        if event:
            event.set()
        return event is not None

    def do_GET(self):  # noqa: N802: the name is the library's
        _, _, rest = self.path.partition("/")
        what, _, key = rest.partition("/")
        if what == "":
            self.answer(NAME)
        elif what == "hold":
            self.hold(key).wait()
            self.answer(NAME)
        elif what == "halves":
            self.head(2 * len(HALF))
            event = self.hold(key)
            self.wfile.write(HALF)
            self.wfile.flush()
            event.wait()
            self.wfile.write(HALF)
        elif what == "slow":
            self.hold(key)
            time.sleep(float(key))
            self.let_go(key)
            self.answer(NAME)
        elif what == "held":
            with lock:
                self.answer("\n".join(held))
        elif what == "release" and self.let_go(key):
            self.answer("released")
        else:
            self.send_error(404)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
