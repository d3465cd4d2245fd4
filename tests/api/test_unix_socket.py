"""Tests of `api.unix_socket`: who may connect, and paths that are too long for a socket."""

import stat
from pathlib import Path

import pytest

from api import unix_socket
from api.unix_socket import PATH_BYTES_MAX, connect, listen
from core.errors import HeadraceError


@pytest.mark.parametrize("folders", [0, 2])
def test_a_connection_is_made_whatever_the_length(tmp_path: Path, folders: int) -> None:
    folder = tmp_path.joinpath(*["x" * 90] * folders)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "s.sock"
    assert (len(str(path)) > PATH_BYTES_MAX) == (folders > 0)
    with listen(path) as listener, connect(path, 5) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        server, _ = listener.accept()
        with server:
            client.sendall(b"hello")
            assert server.recv(5) == b"hello"


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    listen(path).close()
    assert path.exists()
    with listen(path), connect(path, 5):
        pass


def test_nobody_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect(tmp_path / "s.sock", 1)
    listen(tmp_path / "s.sock").close()
    with pytest.raises(ConnectionRefusedError):
        connect(tmp_path / "s.sock", 1)


def test_a_path_too_long_is_told_where_there_is_no_way_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_socket, "PATH_BYTES_MAX", 5)
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    with pytest.raises(HeadraceError, match="more than 5 bytes"):
        listen(tmp_path / "s.sock")
