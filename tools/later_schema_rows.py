"""The content of the schema files of revision 2026-10-15; see `schema_rows`."""

from __future__ import annotations

from collections.abc import Mapping

from tools.schema_rows import Row, strings

REVISION = "2026-10-15"


def _free_form(*paths: str) -> dict[str, str]:
    """Return attributes for `ours` whose own attributes are left out."""
    return dict.fromkeys(paths, "free-form")


def _lifted(resource: str, definition: str, ours: Mapping[str, str] = {}) -> Row:
    """Return a row for a resource whose definition is replaced by the attributes of it."""
    models = (f"{resource}ResponseObjectResource", definition)
    return Row(models, ours={"definition": None, **ours})


def _of_account(model: str) -> Row:
    """Return a row for the only resource of its type in an account."""
    ours = {"id": None, "type": None, **strings("account_id")}
    return Row((model,), keys=("account_id",), ours=ours)


def _only(model: str, *paths: str) -> Row:
    """Return a row for attributes that the revision adds to a resource."""
    return Row((model,), keys=(), only=paths)


_TEXTS = ("text", *(f"h{level}_text" for level in range(1, 5)), "link_text")

_CLICK_TRACKING = {
    "can_receive": "boolean",
    "metadata": "free-form",
    **strings("consent"),
    **dict.fromkeys(
        ("consent_timestamp", "created_timestamp", "last_updated", "valid_until"), "date-time"
    ),
}


def _nested(path: str, inner: Mapping[str, str]) -> dict[str, str]:
    """Return attributes for `ours` that are in the object at a path, and the objects above."""
    steps = path.split(".")
    objects = [".".join(steps[: at + 1]) for at in range(len(steps))]
    return dict.fromkeys(objects, "object") | {f"{path}.{n}": kind for n, kind in inner.items()}


_ROWS = {
    "billing_usage": Row(("BillingUsageResponseObjectResource",), keys=("id", "period_start")),
    "brand_button": Row(("BrandButtonResponseObjectResource",), ours=_free_form("text")),
    "brand_color": Row(("BrandColorResponseObjectResource",)),
    "brand_email_default": Row(
        ("BrandEmailDefaultResponseObjectResource",),
        ours={
            **_free_form(*(f"body.{name}" for name in _TEXTS)),
            **_free_form("header.link_text", "footer.text", "footer.link_text"),
            **strings("brand_button_id", "brand_logo_id", "brand_social_group_id"),
        },
    ),
    "brand_logo": Row(("BrandLogoResponseObjectResource",), ours=strings("image_id")),
    "brand_social_group": Row(
        ("BrandSocialGroupResponseObjectResource",),
        # The client declares a union as a free-form object.
        ours={
            "social_links[]": "object",
            **strings("social_links[].platform", "social_links[].link_url"),
        },
    ),
    "brand_voice": _of_account("BrandVoiceResponseObjectResource"),
    "campaign": Row(
        ("CampaignDefinition",),
        keys=(),
        ours={
            "name": None,
            "archived": None,
            "campaign-audiences": "array",
            "campaign-audiences[]": f"{REVISION}/embedded_audience.json",
            "campaign-messages": "array",
            "campaign-messages[]": f"{REVISION}/campaign_message.json",
        },
    ),
    "campaign_audience": _lifted("Audience", "AudienceDefinition", strings("campaign_id")),
    "campaign_message": Row(("MessageDefinition",), keys=(), ours={"name": None}),
    "campaign_message_record": Row(
        ("MessageDefinition",), keys=(), ours={"name": None, **strings("campaign_audience_id")}
    ),
    "campaign_message_tag": Row(
        ("TagResponseObjectResource",),
        keys=("campaign_message_id", "tag_id"),
        only=("name",),
        ours=strings("campaign_message_id", "tag_id"),
    ),
    "campaign_variation": _lifted(
        "Variation",
        "VariationDefinition",
        strings("channel", "template_id", "campaign_message_id"),
    ),
    "campaign_variation_image": Row(
        ("ImageResponseObjectResource",),
        keys=("campaign_variation_id",),
        only=("id",),
        ours={"id": None, **strings("campaign_variation_id", "image_id")},
    ),
    "coupon": _only(
        "CouponResponseObjectResource",
        *("assigner_configuration", "assigner_configuration.used"),
        "assigner_configuration.unused_expired",
    ),
    "embedded_audience": _lifted("Audience", "AudienceDefinition"),
    "subscriptions": Row(
        (), keys=(), ours=_nested("subscriptions.email.click_tracking", _CLICK_TRACKING)
    ),
    "template": _only("TemplateDndResponseObjectResourceExtended", "screenshot_url"),
    "text_messaging_configuration": _of_account("TextMessagingConfigurationResponseObjectResource"),
    "text_messaging_sender": Row(
        ("TextMessagingSenderResponseObjectResource",),
        ours=strings("text_messaging_sender_registration_id"),
    ),
    "text_messaging_sender_registration": Row(
        ("TextMessagingSenderRegistrationResponseObjectResource",),
        ours=strings("text_messaging_sender_id"),
    ),
    "translation": Row(
        ("TranslationListResponseObjectResource",),
        ours=strings(
            "campaign_variation_id", "flow_message_id", "template_id", "universal_content_id"
        ),
    ),
    "translation_values": Row(
        ("TranslationRetrieveResponseObjectResourceExtended",),
        keys=("translation_id",),
        only=("updated", "values", "values[]"),
        ours=strings("translation_id"),
    ),
}

LATER_ROWS: Mapping[str, Row] = {f"{REVISION}/{name}.json": row for name, row in _ROWS.items()}
