"""Resource types of campaigns, messages, variations and audiences in revision 2026-10-15.

The details of a variation are a union over all channels; one variation has only those of its own.
"""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_SCOPE = "campaigns:read"

_EMAIL = "from_label from_email reply_to_email cc_email bcc_email subject preview_text"

_TEXT_MESSAGE = """
    cost mms_static_image_asset_id shorten_links include_contact_card add_org_prefix add_info_link
    add_opt_out_language mms_dynamic_image_template text_message_type message_hierarchy"""

_PUSH = """
    title body badge badge_config badge_value sound_file_name static_asset_id sound open_action
    dynamic_media_template kv_pairs push_type ios_deep_link android_deep_link web_url
    content_available mutable_content video_asset_id action_buttons"""

OMNICHANNEL_CAMPAIGNS: Mapping[str, ResourceType] = {
    "campaign": ResourceType(
        "campaigns",
        _SCOPE,
        name_set(
            """created_at updated_at
            definition(
                name builder archived color description
                send_settings(send_timezone send_strategy send_passed_rltz_immediately
                              exit_condition_enabled exit_condition_conversion_metric_id))"""
        ),
        {
            "campaign-audiences": Relationship("campaign-audience", many=True),
            "campaign-messages": Relationship("campaign-message", many=True),
            "tags": Relationship("tag", many=True),
        },
    ),
    "campaign-audience": ResourceType(
        "campaign-audiences",
        _SCOPE,
        name_set("created updated definition(name included excluded priority)"),
        {
            "campaign": Relationship("campaign", always=True),
            "campaign-messages": Relationship("campaign-message", many=True),
        },
    ),
    "campaign-message": ResourceType(
        "campaign-messages",
        _SCOPE,
        name_set(
            """created updated
            definition(
                name status
                tracking_options(is_add_utm is_tracking_clicks is_tracking_opens)
                send_options(send_time send_times send_strategy recipient_percentage
                             throttling_type throttle_unit is_ignoring_unsubscribes)
                ab_test(winner_metric winner_percentage winner_wait_hours))"""
        ),
        {
            "campaign": Relationship("campaign", always=True),
            "campaign-audience": Relationship("campaign-audience", always=True),
            "campaign-variations": Relationship("campaign-variation", many=True),
            "tags": Relationship("tag", many=True),
        },
    ),
    "campaign-variation": ResourceType(
        "campaign-variations",
        _SCOPE,
        name_set(
            f"""created updated
            definition(name details(channel template_id {_EMAIL} {_TEXT_MESSAGE} {_PUSH}))"""
        ),
        {
            "campaign-message": Relationship("campaign-message", always=True),
            "translation": Relationship("translation"),
            "image": Relationship("image"),
        },
    ),
}
