"""The file that keeps OAuth tokens: what it holds, who can read it, and how it is locked."""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tap_klaviyo.errors import AccessError, LimitError
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.token_file import LARGEST_FILE, TokenFile
from tap_klaviyo.klaviyo.tokens import TokenMemory, Tokens

CONFIGURED = "refresh_of_the_settings"
NEW = Tokens.of("refresh_new", "access_new", 1_793_534_400.5)
ADVICE = "in a folder that the tap may write to."


def store(path: Path, configured: str = CONFIGURED) -> TokenFile:
    """The file at a path."""
    return TokenFile(str(path), Secret(configured))


def revealed(tokens: Tokens) -> tuple[str, str, float]:
    """What tokens hide."""
    return tokens.refresh.reveal(), tokens.access.reveal(), tokens.expires_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a file in an empty folder."""
    return tmp_path / "tokens.json"


def test_what_is_saved_is_loaded(path: Path) -> None:
    """At first there is the token of the settings, then what was saved last."""
    assert revealed(store(path).load()) == (CONFIGURED, "", 0.0)
    store(path).save(NEW)
    assert revealed(store(path).load()) == ("refresh_new", "access_new", 1_793_534_400.5)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o377])
def test_only_the_owner_can_read_it(path: Path, umask: int) -> None:
    """Neither umask nor an earlier file makes the file readable for others."""
    path.write_text("{}")
    path.chmod(0o666)
    before = os.umask(umask)
    try:
        store(path).save(NEW)
        unlock = store(path).try_lock()
    finally:
        os.umask(before)
    assert unlock is not None
    unlock()
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"tokens.json": 0o600, "tokens.json.lock": 0o600}


def test_a_link(path: Path, tmp_path: Path) -> None:
    """A symbolic link stays one, and both names share a lock."""
    link = tmp_path / "link.json"
    link.symlink_to(path)
    store(link).save(NEW)
    assert link.is_symlink()
    assert store(path).load().refresh.reveal() == "refresh_new"
    assert store(link).try_lock() is not None
    assert store(path).try_lock() is None


def test_a_lock(path: Path) -> None:
    """One process at a time has the lock; after it is unlocked, the next one can have it."""
    unlock = store(path).try_lock()
    assert unlock is not None
    assert store(path).try_lock() is None
    unlock()
    again = store(path).try_lock()
    assert again is not None
    again()


def test_memory_has_a_lock() -> None:
    """Clients of one process take turns, too."""
    memory = TokenMemory(Secret(CONFIGURED))
    unlock = memory.try_lock()
    assert unlock is not None
    assert memory.try_lock() is None
    unlock()
    assert memory.try_lock() is not None


def test_a_file_of_an_older_grant(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another token in the settings counts more than the file, which stays until one is saved."""
    caplog.set_level(logging.WARNING)
    store(path, "refresh_older").save(NEW)
    before = path.read_bytes()
    newer = store(path)
    assert [revealed(newer.load()) for _ in range(2)] == [(CONFIGURED, "", 0.0)] * 2
    assert path.read_bytes() == before
    (line,) = caplog.messages
    assert line == (
        f"oauth_token_file: {path} is of another refresh token than that of the settings, and will "
        "be replaced."
    )
    newer.save(NEW)
    assert store(path).load().refresh.reveal() == "refresh_new"


def test_a_check_changes_nothing(path: Path) -> None:
    """To see whether a token can be saved leaves the file, and nothing else."""
    store(path).save(NEW)
    before = path.read_bytes()
    store(path).check()
    assert [file.read_bytes() for file in path.parent.iterdir()] == [before]


def test_a_file_that_a_killed_process_has_left(path: Path) -> None:
    """A temporary file of a process that was killed is no obstacle."""
    (path.parent / ".tokens.json.new").write_text('{"granted": ')
    store(path).save(NEW)
    assert store(path).load().refresh.reveal() == "refresh_new"
    assert [file.name for file in path.parent.iterdir()] == ["tokens.json"]


VALID = {"granted": "0", "refresh_token": "r", "access_token": "canary", "expires_at": 0.0}
DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b'{"refresh_token": "canary"',
    "no UTF-8": b'"\xff"',
    "an array": b'["canary"]',
    "a config": b'{"api_key": "canary"}',
    "no refresh token": json.dumps({**VALID, "refresh_token": ""}).encode(),
    "a blank in a token": json.dumps({**VALID, "access_token": "canary canary"}).encode(),
    "a number as a token": json.dumps({**VALID, "refresh_token": 1}).encode(),
    "a text as a time": json.dumps({**VALID, "expires_at": "canary"}).encode(),
    "deep nesting": b'{"other": ' + b"[" * 50_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_file_that_is_no_token_file(path: Path, content: bytes) -> None:
    """It is an error of one line that quotes nothing of the file, which stays as it is."""
    path.write_bytes(content)
    with pytest.raises(AccessError) as caught:
        store(path).load()
    message = str(caught.value)
    assert message.startswith(f"oauth_token_file: {path} is not a token file of this tap (")
    assert "canary" not in message
    assert "authorize the app again" in message
    assert path.read_bytes() == content


OTHER_FILES: dict[str, Callable[[Path], object]] = {
    "a directory": Path.mkdir,
    "a named pipe": os.mkfifo,
    "a link to itself": lambda path: path.symlink_to(path),
    "a large file": lambda path: path.write_bytes(b" " * (LARGEST_FILE + 1)),
}


@pytest.mark.parametrize("make", OTHER_FILES.values(), ids=OTHER_FILES.keys())
def test_a_file_that_cannot_be_read(path: Path, make: Callable[[Path], object]) -> None:
    """What is not a small regular file is an error of one line, and is not waited for."""
    make(path)
    with pytest.raises(AccessError) as caught:
        store(path).load()
    message = str(caught.value)
    assert message.startswith(f"oauth_token_file: cannot read {path}: ")
    assert message.endswith(ADVICE)


@pytest.mark.parametrize("use", [TokenFile.try_lock, TokenFile.check, lambda one: one.save(NEW)])
@pytest.mark.parametrize("place", ["absent/tokens.json", "file/tokens.json", "n" * 300])
def test_a_place_that_cannot_be_written_to(
    tmp_path: Path, place: str, use: Callable[[TokenFile], object]
) -> None:
    """A folder that does not exist, or is none, is an error of one line."""
    (tmp_path / "file").touch()
    path = tmp_path / place
    with pytest.raises(AccessError) as caught:
        use(store(path))
    assert str(caught.value).startswith("oauth_token_file: cannot ")
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith(ADVICE)


def test_too_many_open_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of the process is named, since it says nothing about the file."""

    def fail(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(LimitError, match="open files"):
        store(path).try_lock()


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, the file before is kept."""
    store(path).save(NEW)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(AccessError, match="No space left on device"):
        store(path).save(Tokens.of("refresh_lost"))
    assert store(path).load().refresh.reveal() == "refresh_new"
