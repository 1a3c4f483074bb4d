"""Resource types of the brand library, which revision 2026-10-15 adds."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_SCOPE = "brands:read"

_TEXT = "color font_size font_style font_family font_weight letter_spacing text_decoration"

BRANDS: Mapping[str, ResourceType] = {
    "brand-button": ResourceType(
        "brand-buttons",
        _SCOPE,
        name_set(
            f"""name is_primary preview_page_hex text({_TEXT})
            style(background_color border_radius box_shadow is_shadow_active)
            border(border_color border_style border_width is_border_active)
            spacing(padding_top padding_right padding_bottom padding_left)"""
        ),
    ),
    "brand-color": ResourceType("brand-colors", _SCOPE, name_set("name colors")),
    "brand-email-default": ResourceType(
        "brand-email-defaults",
        _SCOPE,
        name_set(
            f"""body(background_color body_background_color text({_TEXT}) h1_text({_TEXT})
                     h2_text({_TEXT}) h3_text({_TEXT}) h4_text({_TEXT}) link_text({_TEXT}))
            header(background_color links link_text({_TEXT}) logo_max_width)
            footer(background_color text({_TEXT}) link_text({_TEXT}) social_group_color)"""
        ),
        {
            "brand-button": Relationship("brand-button"),
            "brand-logo": Relationship("brand-logo"),
            "brand-social-group": Relationship("brand-social-group"),
        },
    ),
    "brand-logo": ResourceType(
        "brand-logos",
        _SCOPE,
        name_set("name width height alt_text link_url"),
        {"image": Relationship("image")},
    ),
    "brand-social-group": ResourceType(
        "brand-social-groups", _SCOPE, name_set("name social_links")
    ),
    "brand-voice": ResourceType(
        "brand-voice", _SCOPE, name_set("version tone_descriptors language_patterns")
    ),
}
