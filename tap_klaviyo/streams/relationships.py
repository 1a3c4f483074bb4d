"""The relationships that Klaviyo's API reference names for each type of resource. Data only.

A resource may have all of them, whatever is requested: a relationship that is not included has only
links. Those that no record needs are ignored. Any other relationship is unknown, and said once.
"""

from __future__ import annotations

from collections.abc import Mapping

RELATIONSHIPS: Mapping[str, frozenset[str]] = {
    type_name: frozenset(names.split())
    for type_name, names in {
        "account": "",
        "attribution": "attributed-event campaign campaign-message event flow flow-message"
        " flow-message-variation",
        "billing-usage": "",
        "brand-button": "",
        "brand-color": "",
        "brand-email-default": "brand-button brand-logo brand-social-group",
        "brand-logo": "image",
        "brand-social-group": "",
        "brand-voice": "",
        "campaign": "campaign-audiences campaign-messages tags",
        "campaign-audience": "campaign campaign-messages",
        "campaign-message": "campaign campaign-audience campaign-variations image tags template",
        "campaign-recipient-estimation": "",
        "campaign-variation": "campaign-message image translation",
        "catalog-category": "items",
        "catalog-item": "categories variants",
        "catalog-variant": "item",
        "conversation": "profile",
        "coupon": "coupon-codes",
        "coupon-code": "coupon profile",
        "custom-metric": "metrics",
        "data-source": "",
        "event": "attributions metric profile",
        "flow": "flow-actions tags",
        "flow-action": "flow flow-messages",
        "flow-message": "flow-action template",
        "form": "form-versions",
        "form-version": "form",
        "image": "",
        "list": "flow-triggers profiles tags",
        "mapped-metric": "custom-metric metric",
        "metric": "flow-triggers metric-properties",
        "metric-property": "metric",
        "object-record": "",
        "object-schema": "object-schemas object-type profile-object-schemas source-mapping",
        "object-type": "current-schema draft-schema object-ingestion-logs object-records"
        " object-types profile-object-types schema-versions",
        "profile": "conversation conversations lists push-tokens segments",
        "profile-object-schema": "",
        "profile-object-type": "",
        "push-token": "profile",
        "review": "events item",
        "segment": "flow-triggers profiles tags",
        "source-mapping": "",
        "tag": "campaigns flows lists segments tag-group",
        "tag-group": "tags",
        "template": "",
        "template-universal-content": "",
        "text-messaging-configuration": "",
        "text-messaging-sender": "text-messaging-sender-registration",
        "text-messaging-sender-registration": "text-messaging-sender",
        "tracking-setting": "",
        "translation": "campaign-variation consent-page flow-message template"
        " template-universal-content",
        "web-feed": "",
        "webhook": "webhook-topics",
        "webhook-topic": "",
    }.items()
}
