"""How forms did, and how segments grew and shrank."""

from collections.abc import Mapping

from sandbox.account import Account
from sandbox.reports.statistics import Fact, Group, Statistic, count, less, rate, unique
from sandbox.resources import Resource

_ADDED, _REMOVED = count("added"), count("removed")

SEGMENT_STATISTICS: Mapping[str, Statistic] = {
    "members_added": _ADDED,
    "members_removed": _REMOVED,
    "net_members_changed": less(_ADDED, _REMOVED),
    "total_members": lambda tally: tally.ever("added") - tally.ever("removed"),
}

FORM_STATISTICS: Mapping[str, Statistic] = {
    "closed_form": count("close"),
    "closed_form_uniques": unique("close"),
    "qualified_form": count("qualify"),
    "qualified_form_uniques": unique("qualify"),
    "submit_rate": rate(count("submit"), count("view")),
    "submits": count("submit"),
    "submitted_form_step": count("submit"),
    "submitted_form_step_uniques": unique("submit"),
    "viewed_form": count("view"),
    # A form has one step.
    "viewed_form_step": count("view"),
    "viewed_form_step_uniques": unique("view"),
    "viewed_form_uniques": unique("view"),
}


def segments(account: Account, _: Resource | None) -> list[Group]:
    """Who joined and left each segment."""
    return [
        Group(
            {"segment_id": segment.id},
            sorted(
                Fact(change.timestamp, "added" if change.step > 0 else "removed", None)
                for change in account.memberships.changes(segment)
            ),
        )
        for segment in account.collections["segment"]
    ]


def forms(account: Account, _: Resource | None) -> list[Group]:
    """What visitors did with each version of a form."""
    return [
        Group(
            {"form_id": form.id, "form_version_id": version.id},
            sorted(
                Fact(visit.timestamp, visit.what, visit.profile_id)
                for visit in version.hidden["visits"]
            ),
        )
        for form in account.collections["form"]
        for version in form.related("form-versions")
    ]
