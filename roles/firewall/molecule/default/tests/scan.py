"""Connects to every TCP port of an address; prints those that answered. Run inside the container."""

import errno
import selectors
import socket
import sys
import time

# Both machines share a kernel: an answer is there at once.
AT_ONCE, PATIENCE_S = 8000, 0.3


def scan(address: str) -> list[int]:
    answered = []
    for start in range(1, 65536, AT_ONCE):
        waiting = selectors.DefaultSelector()
        for port in range(start, min(start + AT_ONCE, 65536)):
            client = socket.socket()
            client.setblocking(False)
            if client.connect_ex((address, port)) != errno.EINPROGRESS:
                answered.append(port)
            waiting.register(client, selectors.EVENT_WRITE, port)
        deadline = time.monotonic() + PATIENCE_S
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in waiting.select(left):
                answered.append(key.data)
                waiting.unregister(key.fileobj)
                key.fileobj.close()
        for key in list(waiting.get_map().values()):
            key.fileobj.close()
        waiting.close()
    return sorted(answered)


print(*scan(sys.argv[1]))
