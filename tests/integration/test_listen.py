"""The socket that the pager takes for its pages and its API."""

from __future__ import annotations

import socket

import pytest

from bot.app import _listen
from bot.errors import UsageError
from bot.settings import Http


def test_connections_send_at_once_without_waiting_for_more():
    with _listen(Http(listen="127.0.0.1:0")) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_an_address_in_use_is_named():
    with _listen(Http(listen="127.0.0.1:0")) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(UsageError, match=address):
            _listen(Http(listen=address))
