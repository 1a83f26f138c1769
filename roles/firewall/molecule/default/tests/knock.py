"""Asks one port, by TCP or UDP; prints connected, refused, dropped, or the error. Run inside the container."""

import socket
import sys

protocol, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = socket.socket(
    socket.AF_INET6 if ":" in address else socket.AF_INET,
    socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM,
)
client.settimeout(2)
try:
    client.connect((address, port))
    if protocol == "udp":
        client.send(b"?")
        client.recv(1)
    print("connected")
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("dropped")
except OSError as error:
    print(error.strerror)
