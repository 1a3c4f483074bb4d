"""Which account the credentials are of: asked, and compared with the settings and the state.

Nothing is written before the answer. Other requests do not wait for it: their answers are held
back, at most as many as there are workers and no more than ``HELD_BYTES``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tap_klaviyo.config.settings import Config
from tap_klaviyo.errors import AccessError, ConfigError, StateError, StreamError
from tap_klaviyo.klaviyo.account import Account
from tap_klaviyo.klaviyo.client import Client
from tap_klaviyo.klaviyo.failures import is_forbidden
from tap_klaviyo.klaviyo.response import Body
from tap_klaviyo.logs import get_logger
from tap_klaviyo.state import State
from tap_klaviyo.sync.output import Output
from tap_klaviyo.sync.scheduler import Scheduler
from tap_klaviyo.sync.stream_sync import StreamSync
from tap_klaviyo.sync.window_reader import WindowReader

logger = get_logger(__name__)

HELD_BYTES = 2**24
"""Bytes of answers that are held back. One that is beyond is dropped and requested again, so that
the answer that the others wait for has room in memory.
"""

SCOPE = "accounts:read"


@dataclass(eq=False)
class AccountIdLookup:
    """A task that asks for the ID of ``account``."""

    account: Account

    def perform(self, client: Client) -> str:
        """The ID. Raises what :attr:`Account.id` raises."""
        return self.account.id


class AccountCheck:
    """The check of a run of ``syncs``, whose ``output`` waits for it.

    ``account_id`` is the ID of the account, None if it is not known.
    """

    def __init__(
        self,
        config: Config,
        state: State,
        output: Output,
        syncs: Sequence[StreamSync],
        scheduler: Scheduler,
    ) -> None:
        self._config = config
        self._state = state
        self._output = output
        self._syncs = syncs
        self._scheduler = scheduler
        self._held: deque[tuple[Any, Any]] = deque()
        self._held_bytes = 0
        self.account_id: str | None = None
        output.withheld = is_wanted(config)

    def lookups(self, account: Account) -> list[AccountIdLookup]:
        """The task that has to be performed for the check, if any.

        Raises :class:`StateError` if the state is known to be of another account.
        """
        if not self._output.withheld:
            return []
        expected_account(self._config, self._state)
        return [AccountIdLookup(account)]

    def has_room(self, in_flight: int) -> bool:
        """Whether one more answer than those of the requests ``in_flight`` may be held back."""
        room = self._config.concurrency - in_flight if self._held_bytes < HELD_BYTES else 0
        return not self._output.withheld or len(self._held) < max(1, room)

    def in_order(
        self, results: Iterable[tuple[Any, Any]], stopped: Callable[[], bool]
    ) -> Iterator[tuple[Any, Any]]:
        """Tasks with their ``results``, but for the lookup; those of windows not before it.

        After the run was ``stopped``, results that were held back are left out.

        Raises :class:`ConfigError` for another account than the expected one, and the error of a
        lookup that the run cannot do without.
        """
        for task, result in results:
            if isinstance(task, AccountIdLookup):
                self._take(result)
                while self._held and not stopped():
                    yield self._held.popleft()
            elif not (self._output.withheld and isinstance(task, WindowReader)):
                yield task, result
            elif self._held_bytes < HELD_BYTES:
                self._held.append((task, result))
                self._held_bytes += len(result.received) if isinstance(result, Body) else 0
            else:
                self._scheduler.resume(task)

    def _take(self, answer: str | BaseException) -> None:
        """Takes the result of the lookup. State and records have the ID from now on."""
        self.account_id = _id_in(answer, self._config)
        if self.account_id is not None:
            refuse_another(self.account_id, self._config, self._state)
            self._state.set_account(self.account_id)
            for sync in self._syncs:
                sync.parser.account_id = self.account_id
        self._output.withheld = False


def is_wanted(config: Config) -> bool:
    """Whether the settings ask for the ID of the account."""
    return config.account_column or config.account_id is not None


def check_account(config: Config, state: State, client: Client) -> str | None:
    """Asks for the ID of the account and compares it, if the settings ask for it; returns it.

    Raises :class:`StateError` or :class:`ConfigError` for another account than the expected one,
    and the error of a request that the caller cannot do without.
    """
    if not is_wanted(config):
        return None
    expected_account(config, state)
    try:
        answer: str | StreamError = Account(client).id
    except StreamError as error:
        answer = error
    found = _id_in(answer, config)
    if found is not None:
        refuse_another(found, config, state)
    return found


def expected_account(config: Config, state: State) -> str | None:
    """The account that the settings or else the state name, None if neither does.

    Raises :class:`StateError` if they name different ones.
    """
    if config.account_id and state.account_id and config.account_id != state.account_id:
        raise StateError(
            f"state: it is of account '{state.account_id}', but the setting account_id"
            f"{config.source_of('account_id')} is '{config.account_id}'. Pass the state of that "
            "account, or none for a first sync."
        )
    return config.account_id or state.account_id


def refuse_another(found: str, config: Config, state: State) -> None:
    """Raises :class:`ConfigError` if ``found`` is not the account that is expected."""
    expected = expected_account(config, state)
    if expected in (None, found):
        return
    if config.account_id:
        raise ConfigError(
            f"config: the credentials are of account '{found}', but account_id"
            f"{config.source_of('account_id')} is '{expected}'. Set the credentials of that "
            "account, or correct account_id."
        )
    raise StateError(
        f"state: it is of account '{expected}', but the credentials are of account '{found}'. "
        "Pass the state of that account, or none for a first sync."
    )


def _id_in(answer: str | BaseException, config: Config) -> str | None:
    """The ID in the result of a lookup. None without the scope, where nothing needs the ID."""
    if not isinstance(answer, BaseException):
        return answer
    if not (isinstance(answer, StreamError) and is_forbidden(answer)):
        raise answer
    if config.account_column:
        raise AccessError(
            f"The setting account_column needs the ID of the account, which takes the scope "
            f"{SCOPE}. Create a key that has this scope too in Klaviyo > Settings > API keys, or "
            "authorize the OAuth app with it."
        )
    logger.warning(
        "account_id is not checked: to ask for the ID of the account takes the scope %s.", SCOPE
    )
    return None
