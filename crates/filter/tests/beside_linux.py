"""Puts packets into a router that is a network namespace, and tells what comes out of it.

Lines in: `in HEX` or `out HEX` (an IP packet that arrives on that side), or `flush`.
Lines out: `in HEX` or `out HEX` per packet that leaves, then `.`.
"""
import ctypes
import os
import select
import socket
import subprocess
import sys

name = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)


def wire(side):
    with open(f"/run/netns/{name}-{side}") as namespace:
        if libc.setns(namespace.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((side, 0))
    return s


wires = {side: wire(side) for side in ("in", "out")}
router = {"in": bytes([2, 0, 0, 0, 0, 1]), "out": bytes([2, 0, 0, 0, 0, 2])}
host = bytes([2, 0, 0, 0, 0, 9])


def drain(wait):
    while True:
        ready, _, _ = select.select(list(wires.values()), [], [], wait)
        if not ready:
            return
        for side, s in wires.items():
            if s in ready:
                frame, address = s.recvfrom(65535)
                if address[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\x08\x00":
                    yield side, frame[14:]


for line in sys.stdin:
    words = line.split()
    if words[0] == "flush":
        command = ["ip", "netns", "exec", f"{name}-router", "conntrack", "-F"]
        subprocess.run(command, capture_output=True, check=True)
        list(drain(0))
    else:
        side, packet = words[0], bytes.fromhex(words[1])
        wires[side].send(router[side] + host + b"\x08\x00" + packet)
        for side, packet in drain(0.002):
            print(side, packet.hex())
    print(".", flush=True)
