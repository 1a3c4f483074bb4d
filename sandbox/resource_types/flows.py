"""Resource types of flows, their actions and messages.

The definition of a flow action or message is a union over all action and channel types; one action
or message has only some of these attributes.
"""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_MESSAGE = """
    action_buttons add_info_link add_opt_out_language add_org_prefix add_tracking_params
    additional_filters(condition_groups) android_link badge
    badge_options(badge_config set_from_property value) bcc_email body cc_email
    conversion_metric_id custom_tracking_params dynamic_image from_email from_label id image_id
    include_contact_card ios_link kv_pairs message_hierarchy name on_open preview_text push_type
    reply_to_email shorten_links smart_sending_enabled sms_quiet_hours_enabled sound subject_line
    template_id title transactional vendor_id video_asset_id web_url"""

_FLOW_MESSAGE = f"{_MESSAGE} headers to_emails url"

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
        message({_FLOW_MESSAGE}) name on_execution profile_filter(condition_groups)
        profile_operations secondary_value
        service_configuration(
            event_key event_payload report_id service_method_type tracking_company_id)
        status target_days target_time timezone trigger_filter(condition_groups) trigger_id
        trigger_subtype trigger_type unit value)"""

FLOWS: Mapping[str, ResourceType] = {
    "flow": ResourceType(
        "flows",
        "flows:read",
        name_set("name status archived created updated trigger_type"),
        {
            "flow-actions": Relationship("flow-action", many=True),
            "tags": Relationship("tag", many=True),
        },
        {
            "definition": name_set(
                """definition(
                    triggers profile_filter(condition_groups) actions entry_action_id
                    reentry_criteria(duration unit))"""
            )
        },
    ),
    "flow-action": ResourceType(
        "flow-actions",
        "flows:read",
        name_set(f"created updated definition({_ACTION})"),
        {
            "flow": Relationship("flow", always=True),
            "flow-messages": Relationship("flow-message", many=True),
        },
    ),
    "flow-message": ResourceType(
        "flow-messages",
        "flows:read",
        name_set(f"channel created updated definition({_FLOW_MESSAGE})"),
        {
            "flow-action": Relationship("flow-action", always=True),
            "template": Relationship("template", always=True),
        },
    ),
}
