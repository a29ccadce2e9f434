# Copyright the kubevirt.lifecycle maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries connections from a port of the machine's loopback to the apiserver in the lab's namespace.

Runs as a process of its own inside the namespace. Its listening socket was made outside and is inherited: a socket
stays in the namespace in which it was made.
"""

from __future__ import annotations

import asyncio
import socket
import sys


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until one side ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # a side that resets the connection ends it like one that closes it
    finally:
        writer.close()


async def relay(listener: socket.socket, host: str, port: int) -> None:
    """Serve for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    server = await asyncio.start_server(serve, sock=listener)
    await server.serve_forever()


def main() -> None:
    """``relay.py FD HOST PORT``"""
    descriptor, host, port = sys.argv[1:]
    asyncio.run(relay(socket.socket(fileno=int(descriptor)), host, int(port)))


if __name__ == "__main__":
    main()
