"""Follows the steps of Containerfile in a folder, as an unprivileged user and without an image.

Absolute paths of the steps lie below the folder. The base image is replaced by the Python of this
machine, so what the base image itself does is not shown.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from external_programs import CHECKOUT, run

_STAGE, _OLD_STAGE = "image", "build"
_ABSOLUTE = re.compile(r"(?:(?<=[\s\"=:])|^)/(?=\w)")
_BUILD_TIMEOUT = 300.0


@dataclass(frozen=True)
class User:
    """Who runs the steps.

    `prefix` precedes each command. `python` is one that this user can run. The user owns all files;
    `owner` is None if that is so anyway.
    """

    python: str
    prefix: tuple[str, ...] = ()
    owner: pwd.struct_passwd | None = None


@dataclass
class Image:
    """The result of all steps; `root` is the file system."""

    folder: Path
    user: User
    variables: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    account: str = "root"
    entry_point: list[str | Path] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The folder that stands for `/`."""
        return self.folder / _STAGE

    @property
    def place(self) -> Path:
        """The working directory."""
        return self.root / self.directory.lstrip("/")

    @property
    def command(self) -> list[str | Path]:
        """The entry point, run as the unprivileged user."""
        return [*self.user.prefix, *self.entry_point]

    def files(self) -> set[Path]:
        """All files and folders."""
        return {path.relative_to(self.root) for path in self.root.rglob("*")}

    def give(self, folder: Path) -> None:
        """Gives a folder with all that is in it to the unprivileged user."""
        if owner := self.user.owner:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)

    def from_(self, _stage: str) -> None:
        """Begins a stage with an empty file system. The stage before is put aside."""
        if self.root.exists():
            self.root.rename(self.folder / _OLD_STAGE)
        self.root.mkdir()
        self.give(self.root)
        self.variables = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def arg(self, text: str) -> None:
        """Sets an argument to its default."""
        name, _, value = text.partition("=")
        self.variables[name] = value

    def env(self, text: str) -> None:
        """Sets an environment variable."""
        name, _, value = self._mapped(text).partition("=")
        self.variables[name] = value.replace("${PATH}", self.variables["PATH"])

    def copy(self, text: str) -> None:
        """Copies files and folders of the checkout, and moves those of the stage before."""
        *sources, destination = text.split()
        to = self.root / destination.strip("/")
        if sources[0].startswith("--from="):
            (old,) = sources[1:]
            (self.folder / _OLD_STAGE / old.lstrip("/")).rename(to)
            return
        for path in (CHECKOUT / source for source in sources):
            if path.is_dir():
                shutil.copytree(path, to)
            else:
                to.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, to)
        self.give(to)

    def run(self, text: str) -> None:
        """Runs a step with `sh`."""
        command = (*self.user.prefix, "sh", "-ec", self._mapped(text))
        home = {"HOME": str(self.folder)}
        run(*command, cwd=self.root, timeout=_BUILD_TIMEOUT, environment={**self.variables, **home})

    def workdir(self, text: str) -> None:
        """Sets the working directory, and creates it."""
        self.directory = text
        self.place.mkdir()

    def user_(self, text: str) -> None:
        """Sets the user of the container."""
        self.account = text

    def entrypoint(self, text: str) -> None:
        """Sets the entry point, which must be in the exec form: a JSON array."""
        self.entry_point = [self._mapped(part) for part in json.loads(text)]

    def _mapped(self, text: str) -> str:
        return _ABSOLUTE.sub(lambda _: f"{self.root}/", text)


def find_user() -> User | None:
    """This user, or nobody instead of root; None if nobody can run no Python of this machine."""
    if os.getuid() != 0:
        return User(sys.executable)
    nobody = pwd.getpwnam("nobody")
    prefix = (
        "setpriv",
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
    )
    usable = "import ensurepip, sys; assert sys.version_info >= (3, 10)"
    for python in (sys.executable, "/usr/bin/python3"):
        # Not setpriv but sh starts Python: setpriv itself can still read what only root can.
        started = run(*prefix, "sh", "-c", '"$0" -c "$1"', python, usable, cwd=Path("/"), code=None)
        if not started.returncode:
            return User(python, prefix, nobody)
    return None


def instructions(path: Path) -> Iterator[tuple[str, str]]:
    """The instructions of a Containerfile, in capitals, each with its text."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", "")
    for line in filter(None, text.splitlines()):
        name, _, rest = line.partition(" ")
        yield name, rest.strip()


def build(folder: Path, user: User) -> Image:
    """Follows all steps in an empty folder."""
    image = Image(folder, user)
    image.give(folder)
    shim = folder / "bin" / "python"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{image.user.python}" "$@"\n')
    shim.chmod(0o755)
    step = {
        "FROM": image.from_,
        "ARG": image.arg,
        "ENV": image.env,
        "COPY": image.copy,
        "RUN": image.run,
        "WORKDIR": image.workdir,
        "USER": image.user_,
        "ENTRYPOINT": image.entrypoint,
    }
    for name, text in instructions(CHECKOUT / "Containerfile"):
        step[name](text)
    return image
