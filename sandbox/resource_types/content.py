"""What mailings and pages are made of: templates, images, forms and web feeds."""

from collections.abc import Mapping

from sandbox.resource_types.model import Kind, Relation, words

_BLOCK_STYLES = """
    background_color block_background_color block_border_color block_border_style
    block_border_width block_padding_bottom block_padding_left block_padding_right
    block_padding_top color extra_css_class font_family font_size font_style font_weight
    inner_padding_bottom inner_padding_left inner_padding_right inner_padding_top letter_spacing
    line_height mobile_stretch_content text_align text_decoration text_table_layout"""

CONTENT: Mapping[str, Kind] = {
    "form": Kind(
        "forms",
        "forms:read",
        words("name status ab_test created_at updated_at"),
        {"form-versions": Relation("form-version", many=True)},
        {"definition": words("definition(versions)")},
    ),
    "form-version": Kind(
        "form-versions",
        "forms:read",
        words("form_type variation_name ab_test(variation_name) status created_at updated_at"),
        {"form": Relation("form", always=True)},
    ),
    "image": Kind(
        "images",
        "images:read",
        words("name image_url format size hidden updated_at"),
    ),
    "template": Kind(
        "templates",
        "templates:read",
        words("name editor_type html text amp created updated"),
        additional={
            "definition": words(
                """definition(
                    id template_id styles
                    body(id properties(id css_class) styles(background_color width) sections))"""
            )
        },
    ),
    "template-universal-content": Kind(
        "template-universal-content",
        "templates:read",
        words(
            f"""name created updated screenshot_status screenshot_url
            definition(
                content_type type
                data(content styles({_BLOCK_STYLES})
                     display_options(show_on visible_check
                                     content_repeat(repeat_for item_alias))))"""
        ),
    ),
    "web-feed": Kind(
        "web-feeds",
        "web-feeds:read",
        words("name url request_method content_type status created updated"),
    ),
}
