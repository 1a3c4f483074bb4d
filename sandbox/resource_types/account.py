"""Resource types of account settings: accounts, tracking settings, webhooks, billing usage."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_UTM = "flow(type value) campaign(type value)"

ACCOUNT: Mapping[str, ResourceType] = {
    "account": ResourceType(
        "accounts",
        "accounts:read",
        name_set(
            """test_account
            contact_information(
                default_sender_name default_sender_email website_url organization_name
                street_address(address1 address2 city region country zip))
            industry timezone preferred_currency public_api_key locale"""
        ),
    ),
    "tracking-setting": ResourceType(
        "tracking-settings",
        "tracking-settings:read",
        name_set(
            f"""auto_add_parameters utm_source({_UTM}) utm_medium({_UTM}) utm_campaign({_UTM})
            utm_id({_UTM}) utm_term({_UTM}) custom_parameters"""
        ),
    ),
    "webhook": ResourceType(
        "webhooks",
        "webhooks:read",
        name_set("name description endpoint_url enabled created_at updated_at"),
        {"webhook-topics": Relationship("webhook-topic", many=True)},
    ),
    "webhook-topic": ResourceType("webhook-topics", "webhooks:read"),
}

BILLING: Mapping[str, ResourceType] = {
    "billing-usage": ResourceType(
        "billing-usage",
        "usage:read",
        name_set("usage_used usage_max unit period_start period_end as_of"),
    ),
}
"""Types that revision 2026-10-15 adds."""
