"""What a conversation is told with: scripted backends and clients around the real binary.

Owns:   sockets, threads, processes and the private directory of one test; all are gone when it ends.
Never:  sleeps (it waits on conditions with deadlines), uses a fixed port, or leaves a process behind.
"""
from .balancer import Lb, Outcome, pool, run
from .backends import Backend, Gate
from .client import Client
from .story import Story
from .wire import Ended, Message, Reset, Silent

__all__ = ["Backend", "Client", "Ended", "Gate", "Lb", "Message", "Outcome", "Reset", "Silent", "Story", "pool", "run"]
