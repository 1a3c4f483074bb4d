"""Where the files of BATCH messages are: a local folder, or any storage that fsspec knows.

Each offers a file that nobody sees under its name before it is complete. A local file is written
under a temporary name, ``.part``, and renamed. An object store shows an object only when its upload
is complete, so there a file has its name from the start.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from tap_klaviyo.errors import ConfigError


class PartialFile(NamedTuple):
    """A file that is being written. ``path`` is where it is until it is complete."""

    path: str
    file: IO[bytes]


class Storage(Protocol):
    """A folder for files. All methods raise OSError."""

    def begin(self, name: str) -> PartialFile:
        """Begins a file."""

    def complete(self, partial: PartialFile) -> str:
        """Completes a file that was written; its URL."""

    def discard(self, partial: PartialFile) -> None:
        """Removes a file that is not complete."""


class LocalFolder:
    """A folder of this machine, which is created if it does not exist."""

    def __init__(self, root: str) -> None:
        self._folder = Path(unquote(urlsplit(root).path)).absolute()
        self._folder.mkdir(parents=True, exist_ok=True)

    def begin(self, name: str) -> PartialFile:
        """Begins a file under a temporary name."""
        path = self._folder / f"{name}.part"
        return PartialFile(str(path), path.open("xb"))

    def complete(self, partial: PartialFile) -> str:
        """Writes a file to the disk and gives it its name."""
        partial.file.flush()
        os.fsync(partial.file.fileno())
        partial.file.close()
        complete = Path(partial.path).with_suffix("")
        os.replace(partial.path, complete)
        # fsspec, with which targets open it, takes the path as it is.
        return f"file://{complete}"

    def discard(self, partial: PartialFile) -> None:
        """Removes a file."""
        partial.file.close()
        Path(partial.path).unlink()


class RemoteFolder:
    """A folder of a storage that fsspec knows, by the URL ``root``."""

    def __init__(self, root: str, url_to_fs: Callable[[str], tuple[Any, str]]) -> None:
        self._root = root
        self._files, self._folder = url_to_fs(root)

    def begin(self, name: str) -> PartialFile:
        """Begins the upload of a file."""
        path = f"{self._folder.rstrip('/')}/{name}"
        with suppress(NotImplementedError):
            self._files.makedirs(self._folder, exist_ok=True)
        return PartialFile(path, self._files.open(path, "wb"))

    def complete(self, partial: PartialFile) -> str:
        """Ends the upload of a file."""
        partial.file.close()
        return f"{self._root}/{partial.path.rpartition('/')[2]}"

    def discard(self, partial: PartialFile) -> None:
        """Removes a file: some storages cannot give up an upload."""
        partial.file.close()
        self._files.rm(partial.path)


def open_storage(root: str) -> Storage:
    """The storage of a URL, after writing a file there and removing it.

    Raises :class:`ConfigError` if that fails, or if fsspec or its part for the URL is missing.
    """
    try:
        storage = LocalFolder(root) if is_local(root) else _remote(root)
        probe = storage.begin(f"probe-{os.getpid()}")
        storage.discard(probe)
    except ConfigError:
        raise
    except Exception as error:  # Each storage has errors of its own.
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or repr(error)
        raise ConfigError(f"config: batch_config: cannot write to {root}: {reason}.") from error
    return storage


def is_local(root: str) -> bool:
    """Whether a URL is that of a local folder."""
    return urlsplit(root).scheme == "file"


def _remote(root: str) -> Storage:
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise ConfigError(
            f"config: batch_config: {root} needs the extra 'batch': in the tap's folder, "
            "pip install '.[batch]', and the package for the storage, such as s3fs or gcsfs."
        ) from None
    return RemoteFolder(root, url_to_fs)
