"""The campaign, flow, form and segment reports and the parameters they accept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from sandbox.account_data import AccountData
from sandbox.endpoints.model import parse_filter_fields
from sandbox.filters import FilterField
from sandbox.reports import campaigns_flows, forms_segments
from sandbox.reports.statistics import ObservationGroup, Statistic
from sandbox.resource_types import name_set
from sandbox.resources import Resource


@dataclass(frozen=True)
class ReportDefinition:
    """A report; `type` is the type of its request body.

    `observe` returns what to count, given the account and the conversion metric. Rows are grouped
    by `default_groupings` unless the request chooses from `groupings`; it must then choose all
    `required_groupings`. A `series` report returns a value per interval. A `paginated` report has
    cursors. A `conversion` report requires a conversion metric. `relationships` maps a name to its
    resource type and to the grouping that holds the ids. There is no data before `since`.
    """

    type: str
    scope: str
    statistics: Mapping[str, Statistic]
    observe: Callable[[AccountData, Resource | None], list[ObservationGroup]]
    filters: dict[str, FilterField]
    default_groupings: tuple[str, ...]
    groupings: frozenset[str] = frozenset()
    required_groupings: frozenset[str] = frozenset()
    relationships: Mapping[str, tuple[str, str]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    series: bool = False
    paginated: bool = False
    conversion: bool = False
    since: str = ""


_MESSAGE_FILTERS = """
    send_channel         string  equals contains-any
    tag_id               string  contains-any contains-all
    tag_name             string  contains-any contains-all
    text_message_format  string  equals contains-any
    variation            string  equals contains-any
    variation_name       string  equals contains-any
    """

_CAMPAIGNS = ReportDefinition(
    "campaign-values-report",
    "campaigns:read",
    campaigns_flows.STATISTICS,
    campaigns_flows.observe_campaigns,
    parse_filter_fields(
        f"""{_MESSAGE_FILTERS}
        campaign_id            string  equals contains-any
        campaign_message_id    string  equals contains-any
        campaign_message_name  string  equals contains-any
        """
    ),
    default_groupings=("campaign_id", "campaign_message_id", "send_channel"),
    groupings=name_set(
        """campaign_id campaign_message_id campaign_message_name group group_name send_channel
        tag_id tag_name text_message_format variation variation_name"""
    ),
    required_groupings=name_set("campaign_id campaign_message_id"),
    relationships={"campaigns": ("campaign", "campaign_id")},
    paginated=True,
    conversion=True,
)

_FLOWS = ReportDefinition(
    "flow-values-report",
    "flows:read",
    campaigns_flows.STATISTICS,
    campaigns_flows.observe_flows,
    parse_filter_fields(
        f"""{_MESSAGE_FILTERS}
        flow_id            string  equals contains-any
        flow_name          string  equals contains-any
        flow_message_id    string  equals contains-any
        flow_message_name  string  equals contains-any
        """
    ),
    default_groupings=("flow_id", "flow_message_id", "send_channel"),
    groupings=name_set(
        """flow_id flow_message_id flow_message_name flow_name send_channel tag_id tag_name
        text_message_format variation variation_name"""
    ),
    required_groupings=name_set("flow_id flow_message_id"),
    relationships={
        "flows": ("flow", "flow_id"),
        "flow-messages": ("flow-message", "flow_message_id"),
    },
    paginated=True,
    conversion=True,
)

_FORMS = ReportDefinition(
    "form-values-report",
    "forms:read",
    forms_segments.FORM_STATISTICS,
    forms_segments.observe_forms,
    parse_filter_fields(
        """
        form_id          string  any equals
        form_version_id  string  any equals
        """
    ),
    default_groupings=("form_id",),
    groupings=name_set("form_id form_version_id"),
    required_groupings=name_set("form_id"),
)

_SEGMENTS = ReportDefinition(
    "segment-values-report",
    "segments:read",
    forms_segments.SEGMENT_STATISTICS,
    forms_segments.observe_segments,
    parse_filter_fields("segment_id  string  any equals"),
    default_groupings=("segment_id",),
    since="2023-06-01",
)

REPORTS: Mapping[str, ReportDefinition] = {
    "/api/campaign-values-reports": _CAMPAIGNS,
    "/api/flow-series-reports": replace(_FLOWS, type="flow-series-report", series=True),
    "/api/flow-values-reports": _FLOWS,
    "/api/form-series-reports": replace(_FORMS, type="form-series-report", series=True),
    "/api/form-values-reports": _FORMS,
    "/api/segment-series-reports": replace(_SEGMENTS, type="segment-series-report", series=True),
    "/api/segment-values-reports": _SEGMENTS,
}
