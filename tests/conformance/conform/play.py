"""Plays the items of a case on a socket: strings, repetitions, pauses, single bytes, half-closes, resets."""
import socket
import struct

from .wire import b


class Over(OSError):
    """The exchange ended while its bytes were still being played."""


def as_items(x):
    return [x] if isinstance(x, (str, dict)) else x


def play(sock, items, over):
    """items: str | {rep,n} | {pause} | {bytewise} | {fin} | {reset}; stops when the event `over` is set."""
    pending = []

    def flush():
        if pending:
            sock.sendall(b"".join(pending))
            pending.clear()

    def pause(seconds):
        if over.wait(seconds):
            raise Over("over")
    for it in as_items(items):
        if isinstance(it, str):
            pending.append(b(it))
        elif "rep" in it:
            pending.append(b(it["rep"]) * it["n"])
        elif "pause" in it:
            flush()
            pause(it["pause"])
        elif "bytewise" in it:
            flush()
            for c in b(it["bytewise"]):
                sock.sendall(bytes([c]))
                pause(0.0008)
        elif "fin" in it:
            flush()
            sock.shutdown(socket.SHUT_WR)
        elif "reset" in it:
            flush()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            return
    flush()
