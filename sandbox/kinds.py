"""The resource types: their attributes and relationships, as tables.

Attributes are written as words, nested ones in brackets: `location(city zip)` stands for
`location`, `location.city` and `location.zip`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Relation:
    """A relationship to `kind`; its `data` shows only when included, unless `always` shown."""

    kind: str
    many: bool = False
    always: bool = False


@dataclass(frozen=True)
class Kind:
    """A resource type: its path, scope, attributes (dotted), and relationships.

    `additional` attributes show only when an endpoint offers them and the request asks for them.
    """

    path: str
    scope: str
    attributes: frozenset[str]
    relationships: Mapping[str, Relation] = field(default_factory=lambda: MappingProxyType({}))
    additional: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))


def words(text: str) -> frozenset[str]:
    """Read words and nested words as dotted names."""
    names: set[str] = set()
    parents: list[str] = []
    last = ""
    for word in re.findall(r"[\w.-]+|[()]", text):
        if word == "(":
            parents.append(last)
        elif word == ")":
            parents.pop()
        else:
            last = ".".join([*parents[-1:], word])
            names.add(last)
    return frozenset(names)


_CONSENT = (
    "consent consent_timestamp last_updated created_timestamp metadata can_receive valid_until"
)

_SUBSCRIPTIONS = words(
    f"""subscriptions(
        email(
            marketing(can_receive_email_marketing consent consent_timestamp last_updated method
                      method_detail custom_method_detail double_optin suppression
                      list_suppressions)
            open_tracking({_CONSENT}))
        sms(
            marketing(can_receive_sms_marketing consent consent_timestamp method method_detail
                      last_updated)
            transactional(can_receive_sms_transactional consent consent_timestamp method
                          method_detail last_updated))
        mobile_push(marketing(can_receive_push_marketing consent consent_timestamp))
        whatsapp(
            marketing({_CONSENT} phone_number)
            transactional({_CONSENT} phone_number)
            conversational({_CONSENT} phone_number)))"""
)

_PREDICTIVE_ANALYTICS = words(
    """predictive_analytics(
        historic_clv predicted_clv total_clv historic_number_of_orders predicted_number_of_orders
        average_days_between_orders average_order_value churn_probability
        expected_date_of_next_order ranked_channel_affinity)"""
)

KINDS: Mapping[str, Kind] = {
    "account": Kind(
        "accounts",
        "accounts:read",
        words(
            """test_account
            contact_information(
                default_sender_name default_sender_email website_url organization_name
                street_address(address1 address2 city region country zip))
            industry timezone preferred_currency public_api_key locale"""
        ),
    ),
    "attribution": Kind(
        "attributions",
        "events:read",
        frozenset(),
        {
            "event": Relation("event", always=True),
            "attributed-event": Relation("event"),
            "campaign": Relation("campaign", always=True),
            "campaign-message": Relation("campaign-message", always=True),
            "flow": Relation("flow"),
            "flow-message": Relation("flow-message"),
            "flow-message-variation": Relation("flow-message"),
        },
    ),
    "campaign": Kind(
        "campaigns",
        "campaigns:read",
        words(
            """name status archived audiences(included excluded) send_options(use_smart_sending)
            tracking_options(add_tracking_params custom_tracking_params is_tracking_clicks
                             is_tracking_opens)
            send_strategy(method date datetime throttle_percentage
                          options(is_local send_past_recipients_immediately))
            created_at scheduled_at updated_at send_time"""
        ),
        {
            "campaign-messages": Relation("campaign-message", many=True),
            "tags": Relation("tag", many=True),
        },
    ),
    "campaign-message": Kind(
        "campaign-messages",
        "campaigns:read",
        words(
            """definition(
                channel label notification_type kv_pairs
                content(subject preview_text from_email from_label reply_to_email cc_email
                        bcc_email body media_url title dynamic_image action_buttons)
                render_options(shorten_links add_org_prefix add_info_link add_opt_out_language)
                options(on_open(type ios_deep_link android_deep_link web_url)
                        badge(display badge_options(badge_config value set_from_property))
                        play_sound))
            send_times created_at updated_at"""
        ),
        {
            "campaign": Relation("campaign", always=True),
            "template": Relation("template"),
            "image": Relation("image"),
        },
    ),
    "conversation": Kind(
        "conversations",
        "conversations:read",
        words("channel"),
        {"profile": Relation("profile", always=True)},
    ),
    "event": Kind(
        "events",
        "events:read",
        words("timestamp event_properties datetime uuid"),
        {
            "profile": Relation("profile", always=True),
            "metric": Relation("metric", always=True),
            "attributions": Relation("attribution", many=True),
        },
    ),
    "flow": Kind(
        "flows",
        "flows:read",
        words("name status archived created updated trigger_type"),
        {"flow-actions": Relation("flow-action", many=True), "tags": Relation("tag", many=True)},
    ),
    "list": Kind(
        "lists",
        "lists:read",
        words("name created updated opt_in_process"),
        {
            "profiles": Relation("profile", many=True),
            "tags": Relation("tag", many=True),
            "flow-triggers": Relation("flow", many=True),
        },
    ),
    "metric": Kind(
        "metrics",
        "metrics:read",
        words("name created updated integration"),
        {"flow-triggers": Relation("flow", many=True)},
    ),
    "profile": Kind(
        "profiles",
        "profiles:read",
        words(
            """email phone_number external_id first_name last_name organization locale title image
            created updated last_event_date
            location(address1 address2 city country region zip latitude longitude timezone ip)
            properties"""
        ),
        {
            "lists": Relation("list", many=True),
            "segments": Relation("segment", many=True),
            "push-tokens": Relation("push-token", many=True),
            "conversations": Relation("conversation", many=True),
        },
        {"subscriptions": _SUBSCRIPTIONS, "predictive_analytics": _PREDICTIVE_ANALYTICS},
    ),
    "push-token": Kind(
        "push-tokens",
        "push-tokens:read",
        words(
            """created token enablement_status platform vendor background recorded_date
            metadata(device_id klaviyo_sdk sdk_version device_model os_name os_version manufacturer
                     app_name app_version app_build app_id environment)"""
        ),
        {"profile": Relation("profile", always=True)},
    ),
    "tag": Kind("tags", "tags:read", words("name"), {"tag-group": Relation("tag-group")}),
}
