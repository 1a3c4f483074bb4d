"""Error responses."""

import json
import uuid
from collections.abc import Mapping


class Refusal(Exception):
    """An answer other than 200: HTTP status, Klaviyo's error code, title and detail.

    `parameter` names the query parameter at fault; without one the source points at the document,
    or by `pointer` at a part of it.
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
        """The JSON:API error document; the same refusal always has the same bytes."""
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


def invalid(parameter: str, detail: str) -> Refusal:
    """The 400 for a query parameter that the API does not allow."""
    return Refusal(400, "invalid", "Invalid input.", detail, parameter=parameter)


def unfit(pointer: str, detail: str) -> Refusal:
    """The 400 for a part of a body that the API does not allow, by its JSON pointer."""
    return Refusal(400, "invalid", "Invalid input.", detail, pointer=pointer)
