"""What the reports of campaigns, flows, forms and segments can be asked, as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sandbox.account import Account
from sandbox.endpoints.model import filters
from sandbox.filters import Field
from sandbox.reports import campaigns_flows, forms_segments
from sandbox.reports.statistics import Group, Statistic
from sandbox.resource_types import words
from sandbox.resources import Resource


@dataclass(frozen=True)
class Report:
    """One report: `type` is that of its body, `gather` finds the facts for its rows.

    Rows are grouped by `default` unless the request chooses from `groups`, where it must choose the
    `needed` ones. A `series` is cut into intervals; `paged` ones have cursors; `conversion` ones
    need a metric to count conversions of; `relations` gives the types of their relationships and
    what groups by their ids. There is no data of before `since`.
    """

    type: str
    scope: str
    statistics: Mapping[str, Statistic]
    gather: Callable[[Account, Resource | None], list[Group]]
    filters: dict[str, Field]
    default: tuple[str, ...]
    groups: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    relations: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    series: bool = False
    paged: bool = False
    conversion: bool = False
    since: str = ""


_OF_MESSAGES = """
    send_channel         string  equals contains-any
    tag_id               string  contains-any contains-all
    tag_name             string  contains-any contains-all
    text_message_format  string  equals contains-any
    variation            string  equals contains-any
    variation_name       string  equals contains-any
    """

_CAMPAIGNS = Report(
    "campaign-values-report",
    "campaigns:read",
    campaigns_flows.STATISTICS,
    campaigns_flows.campaigns,
    filters(
        f"""{_OF_MESSAGES}
        campaign_id            string  equals contains-any
        campaign_message_id    string  equals contains-any
        campaign_message_name  string  equals contains-any
        """
    ),
    default=("campaign_id", "campaign_message_id", "send_channel"),
    groups=words(
        """campaign_id campaign_message_id campaign_message_name group group_name send_channel
        tag_id tag_name text_message_format variation variation_name"""
    ),
    needed=words("campaign_id campaign_message_id"),
    relations={"campaigns": ("campaign", "campaign_id")},
    paged=True,
    conversion=True,
)

_FLOWS = Report(
    "flow-values-report",
    "flows:read",
    campaigns_flows.STATISTICS,
    campaigns_flows.flows,
    filters(
        f"""{_OF_MESSAGES}
        flow_id            string  equals contains-any
        flow_name          string  equals contains-any
        flow_message_id    string  equals contains-any
        flow_message_name  string  equals contains-any
        """
    ),
    default=("flow_id", "flow_message_id", "send_channel"),
    groups=words(
        """flow_id flow_message_id flow_message_name flow_name send_channel tag_id tag_name
        text_message_format variation variation_name"""
    ),
    needed=words("flow_id flow_message_id"),
    relations={
        "flows": ("flow", "flow_id"),
        "flow-messages": ("flow-message", "flow_message_id"),
    },
    paged=True,
    conversion=True,
)

_FORMS = Report(
    "form-values-report",
    "forms:read",
    forms_segments.FORM_STATISTICS,
    forms_segments.forms,
    filters(
        """
        form_id          string  any equals
        form_version_id  string  any equals
        """
    ),
    default=("form_id",),
    groups=words("form_id form_version_id"),
    needed=words("form_id"),
)

_SEGMENTS = Report(
    "segment-values-report",
    "segments:read",
    forms_segments.SEGMENT_STATISTICS,
    forms_segments.segments,
    filters("segment_id  string  any equals"),
    default=("segment_id",),
    since="2023-06-01",
)

REPORTS: Mapping[str, Report] = {
    "/api/campaign-values-reports": _CAMPAIGNS,
    "/api/flow-series-reports": replace(_FLOWS, type="flow-series-report", series=True),
    "/api/flow-values-reports": _FLOWS,
    "/api/form-series-reports": replace(_FORMS, type="form-series-report", series=True),
    "/api/form-values-reports": _FORMS,
    "/api/segment-series-reports": replace(_SEGMENTS, type="segment-series-report", series=True),
    "/api/segment-values-reports": _SEGMENTS,
}
