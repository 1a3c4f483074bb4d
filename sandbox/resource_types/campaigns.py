"""Campaigns and flows with their messages.

The definitions of flow actions and messages are unions of every kind there is: an action or a
message has a part of these attributes.
"""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

_MESSAGE = """
    action_buttons add_info_link add_opt_out_language add_org_prefix add_tracking_params
    additional_filters(condition_groups) android_link badge
    badge_options(badge_config set_from_property value) bcc_email body cc_email
    conversion_metric_id custom_tracking_params dynamic_image from_email from_label id image_id
    include_contact_card ios_link kv_pairs message_hierarchy name on_open preview_text push_type
    reply_to_email shorten_links smart_sending_enabled sms_quiet_hours_enabled sound subject_line
    template_id title transactional vendor_id video_asset_id web_url"""

_ANY_MESSAGE = f"{_MESSAGE} headers to_emails url"

_EXPERIMENT = """
    allocations id name started variations winner_metric
    automatic_winner_selection_settings(
        automatic_end_date automatic_end_statistical_certainty enabled)"""

_ACTION = f"""
    id temporary_id type links(next next_if_false next_if_true)
    data(
        action_output_filter(condition_groups) branches current_experiment({_EXPERIMENT})
        delay_until_time delay_until_weekdays experiment_status list_id
        main_action(id temporary_id type links(next) data(message({_MESSAGE}) status))
        message({_ANY_MESSAGE}) name on_execution profile_filter(condition_groups)
        profile_operations secondary_value
        service_configuration(
            event_key event_payload report_id service_method_type tracking_company_id)
        status target_days target_time timezone trigger_filter(condition_groups) trigger_id
        trigger_subtype trigger_type unit value)"""

MAILINGS: Mapping[str, Kind] = {
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
    "flow": Kind(
        "flows",
        "flows:read",
        words("name status archived created updated trigger_type"),
        {"flow-actions": Relation("flow-action", many=True), "tags": Relation("tag", many=True)},
        {
            "definition": words(
                """definition(
                    triggers profile_filter(condition_groups) actions entry_action_id
                    reentry_criteria(duration unit))"""
            )
        },
    ),
    "flow-action": Kind(
        "flow-actions",
        "flows:read",
        words(f"created updated definition({_ACTION})"),
        {
            "flow": Relation("flow", always=True),
            "flow-messages": Relation("flow-message", many=True),
        },
    ),
    "flow-message": Kind(
        "flow-messages",
        "flows:read",
        words(f"channel created updated definition({_ANY_MESSAGE})"),
        {
            "flow-action": Relation("flow-action", always=True),
            "template": Relation("template", always=True),
        },
    ),
}
