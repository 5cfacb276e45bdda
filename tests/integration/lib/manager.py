"""What a service manager's socket hears (NOTIFY_SOCKET)."""

import contextlib
import os
import socket
import struct

from . import run


@contextlib.contextmanager
def listening(path):
    """Yields a function that waits for the next message: (its bytes, the sender's pid)."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(path)
        manager.settimeout(run.PATIENCE)
        manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

        def hear():
            data, control, _, _ = manager.recvmsg(4096, socket.CMSG_SPACE(12))
            return data, struct.unpack("iII", control[0][2])[0]

        yield hear
    os.unlink(path)
