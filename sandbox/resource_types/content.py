"""Resource types of templates, images, forms and web feeds."""

from collections.abc import Mapping

from sandbox.resource_types.model import Relationship, ResourceType, name_set

_BLOCK_STYLES = """
    background_color block_background_color block_border_color block_border_style
    block_border_width block_padding_bottom block_padding_left block_padding_right
    block_padding_top color extra_css_class font_family font_size font_style font_weight
    inner_padding_bottom inner_padding_left inner_padding_right inner_padding_top letter_spacing
    line_height mobile_stretch_content text_align text_decoration text_table_layout"""

CONTENT: Mapping[str, ResourceType] = {
    "form": ResourceType(
        "forms",
        "forms:read",
        name_set("name status ab_test created_at updated_at"),
        {"form-versions": Relationship("form-version", many=True)},
        {"definition": name_set("definition(versions)")},
    ),
    "form-version": ResourceType(
        "form-versions",
        "forms:read",
        name_set("form_type variation_name ab_test(variation_name) status created_at updated_at"),
        {"form": Relationship("form", always=True)},
    ),
    "image": ResourceType(
        "images",
        "images:read",
        name_set("name image_url format size hidden updated_at"),
    ),
    "template": ResourceType(
        "templates",
        "templates:read",
        name_set("name editor_type html text amp created updated"),
        additional={
            "definition": name_set(
                """definition(
                    id template_id styles
                    body(id properties(id css_class) styles(background_color width) sections))"""
            )
        },
    ),
    "template-universal-content": ResourceType(
        "template-universal-content",
        "templates:read",
        name_set(
            f"""name created updated screenshot_status screenshot_url
            definition(
                content_type type
                data(content styles({_BLOCK_STYLES})
                     display_options(show_on visible_check
                                     content_repeat(repeat_for item_alias))))"""
        ),
    ),
    "web-feed": ResourceType(
        "web-feeds",
        "web-feeds:read",
        name_set("name url request_method content_type status created updated"),
    ),
}
