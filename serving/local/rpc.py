"""XML-RPC over a Unix socket, with a limit to the wait: how supervisor is spoken to."""

import http.client
import os
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any


def ask(path: Path, seconds: float, method: str, *arguments: Any) -> Any:
    """Returns what the server at the socket `path` answers within `seconds`.

    Raises:
        FileNotFoundError, ConnectionError: nobody listens there.
        TimeoutError: somebody does, and is silent.
        xmlrpc.client.Error: it refuses.
    """
    transport = _UnixTransport(path, seconds)
    try:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        return getattr(proxy, method)(*arguments)
    finally:
        transport.close()


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__()
        self._path = path
        self._seconds = seconds

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path, self._seconds)
        self._connection = host, connection  # The base closes what stands here.
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(os.fspath(self._path))
        except OSError:
            self.sock.close()
            raise
