"""Resource types of profiles, their push tokens and conversations."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_CONSENT = (
    "consent consent_timestamp last_updated created_timestamp metadata can_receive valid_until"
)

CLICK_TRACKING = f"subscriptions(email(click_tracking({_CONSENT})))"
"""The subscription that revision 2026-10-15 adds, as `name_set` reads it."""

_SUBSCRIPTIONS = name_set(
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

_PREDICTIVE_ANALYTICS = name_set(
    """predictive_analytics(
        historic_clv predicted_clv total_clv historic_number_of_orders predicted_number_of_orders
        average_days_between_orders average_order_value churn_probability
        expected_date_of_next_order ranked_channel_affinity)"""
)

PROFILES: Mapping[str, ResourceType] = {
    "conversation": ResourceType(
        "conversations",
        "conversations:read",
        name_set("channel"),
        {"profile": Relationship("profile", always=True)},
    ),
    "profile": ResourceType(
        "profiles",
        "profiles:read",
        name_set(
            """email phone_number external_id first_name last_name organization locale title image
            created updated last_event_date
            location(address1 address2 city country region zip latitude longitude timezone ip)
            properties"""
        ),
        {
            "lists": Relationship("list", many=True),
            "segments": Relationship("segment", many=True),
            "push-tokens": Relationship("push-token", many=True),
            "conversations": Relationship("conversation", many=True),
        },
        {
            "subscriptions": _SUBSCRIPTIONS,
            "predictive_analytics": _PREDICTIVE_ANALYTICS,
            "joined_group_at": name_set("joined_group_at"),
        },
    ),
    "push-token": ResourceType(
        "push-tokens",
        "push-tokens:read",
        name_set(
            """created token enablement_status platform vendor background recorded_date
            metadata(device_id klaviyo_sdk sdk_version device_model os_name os_version manufacturer
                     app_name app_version app_build app_id environment)"""
        ),
        {"profile": Relationship("profile", always=True)},
    ),
}
