"""Resource types of campaigns and their messages."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

CAMPAIGNS: Mapping[str, ResourceType] = {
    "campaign": ResourceType(
        "campaigns",
        "campaigns:read",
        name_set(
            """name status archived audiences(included excluded) send_options(use_smart_sending)
            tracking_options(add_tracking_params custom_tracking_params is_tracking_clicks
                             is_tracking_opens)
            send_strategy(method date datetime throttle_percentage
                          options(is_local send_past_recipients_immediately))
            created_at scheduled_at updated_at send_time"""
        ),
        {
            "campaign-messages": Relationship("campaign-message", many=True),
            "tags": Relationship("tag", many=True),
        },
    ),
    "campaign-recipient-estimation": ResourceType(
        "campaign-recipient-estimations",
        "campaigns:read",
        name_set("estimated_recipient_count"),
    ),
    "campaign-message": ResourceType(
        "campaign-messages",
        "campaigns:read",
        name_set(
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
            "campaign": Relationship("campaign", always=True),
            "template": Relationship("template"),
            "image": Relationship("image"),
        },
    ),
}
