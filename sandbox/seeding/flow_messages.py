"""Seeds flow messages."""

import random
from collections.abc import Sequence
from typing import Any

from sandbox.resources import Resource
from sandbox.seeding.random_values import random_id


def make_flow_message(
    rng: random.Random,
    action: Resource,
    channel: str,
    label: str,
    templates: Sequence[Resource],
    id: str | None,
) -> Resource:
    """A message of a flow action; its id is random if `id` is None. `label` is the variation."""
    id = id or random_id(rng, 6)
    template = rng.choice(templates) if channel == "email" and label != "B" else None
    definition = {"id": id, "name": f"{channel} {label}", **_content(rng, channel, template)}
    return Resource(
        "flow-message",
        id,
        {
            "channel": channel,
            "created": action.attributes["created"],
            "updated": action.attributes["updated"],
            # Null, so that some message has no definition.
            "definition": None if channel == "internal_alert" else definition,
        },
        {"flow-action": [action], "template": [template] if template else []},
        hidden={"name": f"{channel} {label}"},
    )


def _content(rng: random.Random, channel: str, template: Resource | None) -> dict[str, Any]:
    sender = {"from_email": "shop@example.com", "from_label": "The shop"}
    sending_options = {
        "smart_sending_enabled": True,
        "transactional": False,
        "add_tracking_params": True,
    }
    subject = rng.choice(("Welcome 👋", "Still thinking?", "Für dich", "Last chance"))
    contents: dict[str, dict[str, Any]] = {
        "email": {
            **sender,
            **sending_options,
            "reply_to_email": None,
            "cc_email": None,
            "bcc_email": None,
            "subject_line": subject,
            "preview_text": None,
            "template_id": template.id if template else None,
            "custom_tracking_params": [{"param": "utm_content", "value": "{{ flow.name }}"}],
            "additional_filters": None,
        },
        "sms": {
            **sending_options,
            "body": subject,
            "image_id": None,
            "shorten_links": True,
            "add_org_prefix": True,
            "add_info_link": False,
            "add_opt_out_language": False,
            "sms_quiet_hours_enabled": True,
        },
        "mobile_push": {
            "title": subject,
            "body": "Come in",
            "sound": True,
            "badge": True,
            "badge_options": {"badge_config": "increment_one"},
            "on_open": "home",
            "push_type": "standard",
            "kv_pairs": {"deal": "spring"},
            "action_buttons": [{"label": "Open", "action_type": "open_app", "position": 0}],
        },
        "whatsapp": {**sending_options, "vendor_id": None},
        "webhook": {
            "url": "https://hooks.example.com/flow",
            "headers": {"X-Shop": "1"},
            "body": '{"id": "{{ person.id }}"}',
        },
        "internal_alert": {**sender, "to_emails": ["team@example.com"], "subject_line": subject},
    }
    return contents[channel]
