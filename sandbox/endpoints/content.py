"""Endpoints of templates, images, forms and web feeds."""

from collections.abc import Mapping

from sandbox.endpoints.model import XS, Endpoint, L, M, PageSize, S, parse_filter_fields
from sandbox.resource_types import name_set

CONTENT: Mapping[str, Endpoint] = {
    "/api/forms": Endpoint(
        "form",
        S,
        PageSize(20, 100),
        parse_filter_fields(
            """
            id          string    any equals
            name        string    any contains equals
            ab_test     boolean   equals
            status      string    equals
            created_at  datetime  range
            updated_at  datetime  range
            """
        ),
        sorts=name_set("created_at updated_at"),
    ),
    "/api/forms/{id}": Endpoint("form", S, always=name_set("definition"), single=True),
    "/api/forms/{id}/form-versions": Endpoint(
        "form-version",
        S,
        PageSize(20, 100),
        parse_filter_fields(
            """
            form_type   string    any equals
            status      string    equals
            created_at  datetime  range
            updated_at  datetime  range
            """
        ),
        sorts=name_set("created_at updated_at"),
        parent="form",
        relationship="form-versions",
    ),
    "/api/images": Endpoint(
        "image",
        M,
        PageSize(20, 100),
        parse_filter_fields(
            """
            id          string    any equals
            name        string    any contains ends-with equals starts-with
            format      string    any equals
            size        integer   range
            hidden      boolean   any equals
            updated_at  datetime  range
            """
        ),
        sorts=name_set("format id name size updated_at"),
    ),
    "/api/template-universal-content": Endpoint(
        "template-universal-content",
        L,
        PageSize(20, 100),
        parse_filter_fields(
            """
            id                       string    any equals
            name                     string    any equals
            created                  datetime  range
            updated                  datetime  range
            definition.content_type  string    equals
            definition.type          string    equals
            """
        ),
        sorts=name_set("created id name updated"),
    ),
    "/api/templates": Endpoint(
        "template",
        L,
        PageSize(10, 10),
        parse_filter_fields(
            """
            id       string    any equals
            name     string    any contains equals
            created  datetime  equals range
            updated  datetime  equals range
            """
        ),
        sorts=name_set("created id name updated"),
        additional=name_set("definition"),
    ),
    "/api/web-feeds": Endpoint(
        "web-feed",
        XS,
        PageSize(5, 20),
        parse_filter_fields(
            """
            name     string    any contains equals
            created  datetime  range
            updated  datetime  range
            """
        ),
        sorts=name_set("created name updated"),
    ),
}
