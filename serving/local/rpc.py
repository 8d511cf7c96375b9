"""XML-RPC over a Unix socket, with a limit to the wait: how supervisor is spoken to."""

import http.client
import os
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any, Final

ANSWER_SECONDS: Final = 15


def ask(path: Path, method: str, *arguments: Any) -> Any:
    """Returns what the server at the socket `path` answers.

    Raises:
        FileNotFoundError, ConnectionError: nobody listens there.
        TimeoutError: somebody does, and is silent.
        xmlrpc.client.Error: it refuses.
    """
    transport = _UnixTransport(path)
    try:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        return getattr(proxy, method)(*arguments)
    finally:
        transport.close()


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # The base closes what stands here.
        return connection


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(ANSWER_SECONDS)
            self.sock.connect(os.fspath(self._path))
        except OSError:
            self.sock.close()
            raise
