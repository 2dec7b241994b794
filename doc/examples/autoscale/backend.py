#!/usr/bin/python3
"""A backend for the example: a small HTTP server on the loopback that takes a set time for each answer.

    backend.py --port 9001 --service-time 0.1 --slots 8

It serves `slots` requests at a time, as a program with that many threads does; more of them wait inside it. That is what
target_inflight of its pool keeps it from. /healthcheck is answered at once. TERM ends it after what it has begun.
"""
import argparse
import http.server
import signal
import socketserver
import threading
import time


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def handler(service_time, slots):
    places = threading.BoundedSemaphore(slots)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path != "/healthcheck":
                with places:
                    time.sleep(service_time)
            body = f"served on port {self.server.server_address[1]}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            try:
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:  # whoever asked has gone meanwhile
                self.close_connection = True

        def log_message(self, *_):
            pass

    return Handler


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0: any that is free")
    parser.add_argument("--service-time", type=float, default=0.1, help="seconds of each answer")
    parser.add_argument("--slots", type=int, default=8, help="requests served at a time")
    wanted = parser.parse_args()
    server = Server(("127.0.0.1", wanted.port), handler(wanted.service_time, wanted.slots))
    # shutdown() waits for the loop that this thread runs.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the autoscaler
    print(server.server_address[1], flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
