"""The version of Klaviyo's SDK for a revision reads everything that the sandbox serves under it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from external_programs import CHECKOUT, ENVIRONMENTS, UV, run

from sandbox import Account, Sandbox
from sandbox.endpoints import ENDPOINTS_OF
from sandbox.endpoints.model import Endpoint
from sandbox.resource_types import RESOURCE_TYPES_OF, ResourceType

READER = Path(__file__).with_name("klaviyo_sdk_reader.py")
VERSIONS = {"2026-07-15": "24.0.0", "2026-10-15": "25.0.0"}
IDS = 12  # parents with children, or resources, per endpoint
FILTERS = {
    ("2026-07-15", "/api/campaigns"): "equals(messages.channel,'email')",
    **{(revision, "/api/coupon-codes"): "equals(coupon.id,'COUPON-1')" for revision in VERSIONS},
}
MISTYPED = {
    ("2026-07-15", "/api/flows/{id}"),  # the unit of reentry criteria
    ("2026-07-15", "/api/metrics/{id}/metric-properties"),  # sample values
}
"""Endpoints with additional attributes that 24.0.0 refuses: it expects objects instead of texts."""

WITHOUT_MODEL = "meta"
"""The attribute of the relationships of custom objects, of which the SDKs have no models."""

ENDPOINTS = [(revision, path) for revision, paths in ENDPOINTS_OF.items() for path in paths]

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def account() -> Account:
    """A small account."""
    return Account.seeded(events=500)


@pytest.fixture(scope="session")
def sdks() -> dict[str, Path]:
    """The folders of the versions; each has the same package."""
    folders = {}
    for revision, version in VERSIONS.items():
        folder = ENVIRONMENTS / f"klaviyo-api-{version}"
        if not any(folder.glob("*.dist-info")):
            uv_pip = (*UV, "pip", "install", "--quiet", "--no-deps", "--target", folder)
            run(*uv_pip, f"klaviyo-api=={version}", cwd=CHECKOUT)
        folders[revision] = folder
    return folders


@pytest.fixture(scope="module")
def answers(
    account: Account, sdks: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answer]:
    """What each version reads, with the extras that Klaviyo may add to answers."""
    folder = tmp_path_factory.mktemp("asked")
    answers = {}
    with Sandbox(account, extras=True) as server:
        for revision, endpoints in ENDPOINTS_OF.items():
            asked = {
                path: options(account, revision, path, endpoint)
                for path, endpoint in endpoints.items()
            }
            file = folder / f"{revision}.json"
            file.write_text(json.dumps({"url": server.url, "key": server.key, "endpoints": asked}))
            environment = {"PYTHONPATH": str(sdks[revision])}
            command = (sys.executable, READER)
            done = run(*command, cwd=folder, stdin=file, environment=environment)
            answers[revision] = json.loads(done.stdout)
    return answers


def options(account: Account, revision: str, path: str, endpoint: Endpoint) -> Answer:
    """What to read of an endpoint: all that can be included, and all additional attributes."""
    resource_type, relationship = endpoint.resource_type, endpoint.relationship
    ids: list[str | None] = [None]
    if endpoint.parent:
        parents = account.ids(endpoint.parent, revision)
        children = {id: account.ids_under(endpoint.parent, id, relationship, revision)
                    for id in parents}  # fmt: skip
        ids = [*spread([id for id in parents if children[id]])]
        ids += [id for id in parents if not children[id]][:2]
    elif "{id}" in path:
        resources = account.collections_of(revision)[resource_type]
        ids = [*spread([one.id for one in resources])]
        for name in endpoint.includes:
            ids += [one.id for one in resources if one.related(name)][:1]
    has_additional = endpoint.additional and (revision, path) not in MISTYPED
    return {
        "ids": ids,
        "filter": FILTERS.get((revision, path)),
        "include": sorted(endpoint.includes),
        "additional": {resource_type: sorted(endpoint.additional)} if has_additional else {},
    }


def spread(ids: list[str]) -> list[str]:
    """Some of the ids, at equal distances."""
    return ids[:: -(-len(ids) // IDS)] if ids else []


@pytest.mark.parametrize("revision", VERSIONS)
def test_versions_are_those_of_the_revisions(answers: dict[str, Answer], revision: str) -> None:
    """Each version of the SDK requests the revision that it is tested with."""
    assert answers[revision]["revision"] == revision


@pytest.mark.parametrize(("revision", "path"), ENDPOINTS)
def test_every_endpoint_is_read(
    account: Account, answers: dict[str, Answer], revision: str, path: str
) -> None:
    """The SDK has an operation for each endpoint, and reads all its records without an error."""
    endpoint = ENDPOINTS_OF[revision][path]
    assert path in answers[revision]["operations"]
    records = answers[revision]["endpoints"][path]["records"]
    assert records
    is_partial = endpoint.required_filters or endpoint.default_filters
    if "{id}" not in path and endpoint.resource_type != "event" and not is_partial:
        assert sorted(records) == sorted(account.ids(endpoint.resource_type, revision))


@pytest.mark.parametrize("revision", VERSIONS)
def test_everything_is_included(answers: dict[str, Answer], revision: str) -> None:
    """The SDK reads included resources of all types; no review of the account has events."""
    wanted, found = {("review", "event")}, {("review", "event")}
    for path, endpoint in ENDPOINTS_OF[revision].items():
        name = endpoint.resource_type
        relationships = endpoint.resource_types[name].relationships
        wanted |= {(name, relationships[one].type) for one in endpoint.includes}
        found |= {(name, one) for one in answers[revision]["endpoints"][path]["included"]}
    assert found == wanted


def test_all_new_operations_are_served(answers: dict[str, Answer]) -> None:
    """The sandbox serves every operation that 25.0.0 adds; it has no relationship endpoints."""
    old, new = (answers[revision]["operations"].keys() for revision in VERSIONS)
    added = {path for path in new - old if "/relationships/" not in path}
    assert added
    assert added <= ENDPOINTS_OF["2026-10-15"].keys()


@pytest.mark.parametrize("revision", VERSIONS)
def test_attributes_are_those_of_the_sdk(answers: dict[str, Answer], revision: str) -> None:
    """The sandbox knows the attributes of the SDK's models, and no others.

    It has more only inside attributes that the SDK leaves as dicts.
    """
    known: dict[tuple[str, str], ResourceType] = {}
    theirs: dict[tuple[str, str], dict[str, bool]] = {}
    for path, answer in answers[revision]["endpoints"].items():
        endpoint = ENDPOINTS_OF[revision][path]
        name = endpoint.resource_type
        key = (name, path if name in endpoint.own_types else "")
        known[key] = endpoint.resource_types[name]
        theirs.setdefault(key, {}).update(answer["attributes"])
    for key, resource_type in known.items():
        dicts = tuple(f"{name}." for name, is_dict in theirs[key].items() if is_dict)
        own = {
            name
            for name in resource_type.all_attributes
            if not name.startswith(dicts) and name.partition(".")[0] != WITHOUT_MODEL
        }
        assert theirs[key].keys() - own <= resource_type.all_attributes, key
        assert own <= theirs[key].keys(), key
    assert {name for name, _ in known} <= RESOURCE_TYPES_OF[revision].keys()


def test_hints_are_read(answers: dict[str, Answer]) -> None:
    """25.0.0 reads the hints for agents of every answer."""
    answers = answers["2026-10-15"]["endpoints"]
    assert not [path for path, answer in answers.items() if not answer["hints"]]


@pytest.mark.parametrize("revision", VERSIONS)
def test_schemas_agree_with_the_sdk(sdks: dict[str, Path], revision: str) -> None:
    """The schemas of a revision agree with the models of its version of the SDK."""
    environment = {"PYTHONPATH": str(sdks[revision])}
    command = (sys.executable, "-m", "tools.check_schemas")
    done = run(*command, cwd=CHECKOUT, environment=environment)
    assert f"schemas agree with klaviyo-api {VERSIONS[revision]}" in done.stdout
