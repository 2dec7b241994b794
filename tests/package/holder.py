#!/usr/bin/env python3
"""holder.py PORT: listens there, on every address, until it is ended, and never accepts: a service that is in the way.

Owns: the one socket. Never: answers.
"""
import signal
import socket
import sys

with socket.create_server(("0.0.0.0", int(sys.argv[1]))):
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
