"""The file of the setting ``oauth_token_file``: OAuth tokens that outlive a process.

It is a JSON object with the members of :class:`_Content`. It is replaced as a whole, so that a
reader finds a complete one at any time, also after a kill or a power failure. Processes lock
another file beside it, ``<name>.lock``, because a lock of a file ends when the file is replaced.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from tap_klaviyo.errors import AccessError, LimitError
from tap_klaviyo.klaviyo.auth import Secret
from tap_klaviyo.klaviyo.tokens import Tokens, Unlock
from tap_klaviyo.limits import limit_of
from tap_klaviyo.logs import get_logger

logger = get_logger(__name__)

LARGEST_FILE = 2**16
"""The most bytes that a token file has."""

_MODE = 0o600


class _Content(msgspec.Struct):
    """What a token file holds.

    ``granted`` is the SHA-256 of the refresh token of the settings that the tokens descend from, in
    hexadecimal. ``expires_at`` is in Unix seconds; ``access_token`` is empty for none.
    """

    granted: str
    refresh_token: str
    access_token: str
    expires_at: float


class TokenFile:
    """A token file, for any number of threads and processes of one machine.

    ``refresh_token`` is that of the settings. A file that descends from another one is of an older
    grant, and is replaced by the first tokens that are saved.
    """

    def __init__(self, path: str, refresh_token: Secret) -> None:
        self._path = Path(os.path.realpath(path))
        self._lock = Path(f"{self._path}.lock")
        self._temporary = self._path.parent / f".{self._path.name}.new"
        self._configured = refresh_token.reveal()
        self._granted = hashlib.sha256(self._configured.encode()).hexdigest()
        self._warned = False

    def try_lock(self) -> Unlock | None:
        """Locks the file until the process ends or unlocks it."""
        with self._reported("lock"):
            self._exists()
            with suppress(BlockingIOError), ExitStack() as closing:
                descriptor = _created(self._lock)
                closing.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return closing.pop_all().close
        return None

    def load(self) -> Tokens:
        """The tokens in the file; the refresh token of the settings if it has none for it."""
        with self._reported("read"):
            content = self._read()
        if content is None:
            return Tokens.of(self._configured)
        try:
            read = msgspec.json.decode(content, type=_Content)
            tokens = Tokens.of(read.refresh_token, read.access_token, read.expires_at)
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            raise AccessError(
                f"oauth_token_file: {self._path} is not a token file of this tap ({error}). If it "
                "is a damaged one, delete it; if the refresh token in the settings is not accepted "
                "then, authorize the app again (docs/oauth.md)."
            ) from None
        if read.granted == self._granted:
            return tokens
        if not self._warned:
            self._warned = True
            logger.warning(
                "oauth_token_file: %s is of another refresh token than that of the settings, and "
                "will be replaced.",
                self._path,
            )
        return Tokens.of(self._configured)

    def check(self) -> None:
        """Writes another file beside it and deletes it, so that a full disk shows in time."""
        with self._reported("write"):
            self._write_temporary(b"\0" * LARGEST_FILE)
            self._temporary.unlink()

    def save(self, tokens: Tokens) -> None:
        """Replaces the file. Returns when the new one is on the disk."""
        content = _Content(
            self._granted, tokens.refresh.reveal(), tokens.access.reveal(), tokens.expires_at
        )
        with self._reported("write"):
            self._write_temporary(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
            os.replace(self._temporary, self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _read(self) -> bytes | None:
        """The content of the file; None if it does not exist."""
        if not self._exists():
            return None
        with self._path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise OSError(0, "it is too large for a token file")
        return content

    def _exists(self) -> bool:
        """Whether there is a regular file. Raises OSError if there is something else."""
        try:
            if stat.S_ISREG(self._path.stat().st_mode):
                return True
        except FileNotFoundError:
            return False
        raise OSError(0, "it is not a regular file")

    def _write_temporary(self, content: bytes) -> None:
        """Writes the temporary file, which only its owner can read, to the disk."""
        with suppress(FileNotFoundError):
            self._temporary.unlink()  # A process that was killed has left it.
        with open(_created(self._temporary, os.O_EXCL), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def _reported(self, action: str) -> Iterator[None]:
        """Turns an OSError into one line about the file."""
        try:
            yield
        except OSError as error:
            if limit := limit_of([error]):
                raise LimitError(limit) from None
            raise AccessError(
                f"oauth_token_file: cannot {action} {self._path}: {error.strerror}. It needs a "
                "regular file, in a folder that the tap may write to."
            ) from None


def _created(path: Path, flags: int = 0) -> int:
    """Opens a file that only its owner can use, whatever the umask is; returns the descriptor."""
    flags |= os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, _MODE)
    os.fchmod(descriptor, _MODE)
    return descriptor
