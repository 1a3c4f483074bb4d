"""Runs of the command with mutated files and answers, and the properties that every run must have.

A run never ends with a traceback and never hangs. If its exit code is 0, everything that was asked
for is in the output, or a log line names what is not. After a run, whatever happened to it, a run
with right answers from its last STATE leaves nothing unread.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from asked_records import EVENTS, Asked, Key, asked_of, unexplained, written_keys
from command_runs import Outcome, run_with
from hypothesis import strategies as st
from mutated_answers import MutatedAnswers, hidden_keys
from mutated_files import CATALOG_OF_ALL_PAGES, CONFIG, REPORT, STREAMS_READ, Files, small_account
from simulated_klaviyo import SimulatedKlaviyo

MAX_REQUESTS = 3_000
"""Requests of one run after which it counts as endless."""


def run_files(files: Files, klaviyo: SimulatedKlaviyo) -> Outcome:
    """Runs the command with files; fails if it hangs or ends with a traceback."""
    with tempfile.TemporaryDirectory() as folder:
        before = klaviyo.requests
        klaviyo.on_request = lambda: _limit(klaviyo.requests - before)
        return run_with(Path(folder), klaviyo, **files.contents())


def _limit(requests: int) -> None:
    assert requests < MAX_REQUESTS, "endless requests"


def check_files(files: Files) -> Counter[str]:
    """Runs the command twice with mutated files; returns counts of what happened."""
    klaviyo = small_account()
    started = klaviyo.now
    outcome = run_files(files, klaviyo)
    if outcome.code:
        return Counter({"refused": 1})
    asked = asked_of(files.contents(), klaviyo, started)
    wrong = unexplained(asked, outcome.messages, outcome.shown)
    assert not wrong, f"{wrong}\n{outcome.shown}"
    started = klaviyo.now
    state = last_state(outcome, files.state)
    if any(message["type"] == "STATE" for message in outcome.messages):
        assert all(0 <= mark <= started for mark in _marks(state, asked)), state
    again = run_files(replace(files, state=state), klaviyo)
    assert again.code == 0, again.shown
    asked = asked_of({**files.contents(), "state": state}, klaviyo, started)
    wrong = unexplained(asked, again.messages, again.shown)
    assert not wrong, f"{wrong}\n{again.shown}"
    return Counter({"accepted": 1, "records": len(outcome.messages)})


def _marks(state: Any, asked: Iterable[Asked]) -> Iterator[int]:
    """The bookmarks of the event streams; others may be read in full, and keep what they have."""
    for one in asked:
        if one.stream in (*EVENTS, "opened"):
            yield (state["bookmarks"].get(one.stream) or {}).get("timestamp") or 0


def last_state(outcome: Outcome, state: Any) -> Any:
    """The value of the last STATE of a run, or the state that it has started with."""
    states = [m["value"] for m in outcome.messages if m["type"] == "STATE"]
    return states[-1] if states else state


RIGHT_FILES = st.builds(
    Files, st.just("answers"), st.just(CONFIG), st.just(CATALOG_OF_ALL_PAGES), st.just({})
)
"""Right files of a run whose answers are mutated."""


@cache
def report_keys() -> frozenset[Key]:
    """The keys of the report in a run with right answers."""
    outcome = run_files(Files("", CONFIG, CATALOG_OF_ALL_PAGES, {}), small_account())
    keys = frozenset(written_keys(outcome.messages)[REPORT])
    assert len({start for _, start, _ in keys}) == 4, "a report of four months"
    return keys


def check_answers(files: Files, draw: Callable[..., Any]) -> Counter[str]:
    """Runs the command with mutated answers, then with right ones from its last STATE."""
    klaviyo = small_account()
    numbers = draw(st.frozensets(st.integers(0, 30), min_size=1, max_size=6))
    answers = MutatedAnswers(draw, numbers)
    asked = asked_of(files.contents(), klaviyo, klaviyo.now)
    asked = [replace(a, keys=set(report_keys())) if a.stream == REPORT else a for a in asked]
    klaviyo.on_answer = answers
    outcome = run_files(files, klaviyo)
    if not any("/api/metrics" in mutation for mutation in answers.mutations):
        complete = [one for one in asked if one.name not in _failed(outcome)]
        shown = [_without_hidden(answers, one, again=False) for one in complete]
        wrong = unexplained(shown, outcome.messages, outcome.shown)
        assert not wrong, f"{answers.mutations}\n{wrong}\n{outcome.shown}"
    klaviyo.on_answer = lambda request, answer: answer
    again = run_files(replace(files, state=last_state(outcome, files.state)), klaviyo)
    assert again.code == 0, again.shown
    shown = [_without_hidden(answers, one, again=True) for one in asked]
    messages = [*outcome.messages, *again.messages]
    wrong = unexplained(shown, messages, "")
    assert not wrong, f"{answers.mutations}\n{wrong}\n{outcome.shown}\n{again.shown}"
    return Counter({"failed" if outcome.code else "complete": 1, "answers": len(answers.mutations)})


def _failed(outcome: Outcome) -> set[str]:
    """The streams that the command does not claim to be complete, by their names."""
    if not outcome.code:
        return set()
    found = re.search(r"streams could not be read \((.*?)\); all others", outcome.errors[0])
    return set(found[1].split(", ")) if found else {*STREAMS_READ, REPORT}


def _without_hidden(answers: MutatedAnswers, asked: Asked, *, again: bool) -> Asked:
    hidden = hidden_keys(answers, asked.stream, asked.keys, again=again)
    return replace(asked, keys=asked.keys - hidden)
