"""Error responses as exceptions."""

import json
import uuid
from collections.abc import Mapping


class ApiError(Exception):
    """An error response: HTTP status, and Klaviyo's error code, title and detail.

    The error's `source` is the query `parameter` if given, else the JSON `pointer` into the body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        *,
        parameter: str | None = None,
        pointer: str = "/data/",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.source = {"parameter": parameter} if parameter else {"pointer": pointer}
        self.headers = dict(headers or {})

    def document(self) -> bytes:
        """The JSON:API error document. Its id is derived from the error, so bytes are stable."""
        error = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.code}:{self.detail}")),
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "source": self.source,
            "links": {},
            "meta": {},
        }
        return json.dumps({"errors": [error]}, ensure_ascii=False, separators=(",", ":")).encode()


def invalid_parameter(parameter: str, detail: str) -> ApiError:
    """The 400 for an invalid query parameter."""
    return ApiError(400, "invalid", "Invalid input.", detail, parameter=parameter)


def invalid_body(pointer: str, detail: str) -> ApiError:
    """The 400 for an invalid part of a request body, given its JSON pointer."""
    return ApiError(400, "invalid", "Invalid input.", detail, pointer=pointer)
