"""API revisions: those implemented, those accepted, and retired ones."""

from collections.abc import Mapping

REVISION, REVISION_2026_10_15 = "2026-07-15", "2026-10-15"

REVISIONS: Mapping[str, str] = {
    "2025-01-15": REVISION,
    "2025-04-15": REVISION,
    "2025-07-15": REVISION,
    "2025-10-15": REVISION,
    "2026-01-15": REVISION,
    "2026-04-15": REVISION,
    REVISION: REVISION,
    REVISION_2026_10_15: REVISION_2026_10_15,
}
"""The accepted revisions, and the implemented one that answers for each."""

RETIRED = frozenset(
    {
        "2022-10-17",
        "2023-01-24",
        "2023-02-22",
        "2023-06-15",
        "2023-07-15",
        "2023-08-15",
        "2023-09-15",
        "2023-10-15",
        "2023-12-15",
        "2024-02-15",
        "2024-05-15",
        "2024-06-15",
        "2024-07-15",
        "2024-10-15",
    }
)
