"""``docs/settings.md`` has every setting, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"


def test_the_page_has_every_setting_and_no_other() -> None:
    told = re.findall(r"^\| `NEXUS_(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(name.upper() for name in Settings.model_fields)
