"""The configuration that our documentation prints: the code blocks of a section, by the file that each names first."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vvctl.appliance import find_root

PAGES = find_root(Path(__file__).parent) / "docs" / "integrations"
_SECTION = re.compile(r"^## ", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"; (\w+\.conf)\n")
_POST = re.compile(r"^POST (\S+) ?(.*)$", re.MULTILINE)


Section = tuple[str, str]
"""A page and the title of its section."""


class Request(NamedTuple):
    path: str
    body: str


def files(*sections: Section, words: Mapping[str, str]) -> dict[str, str]:
    """What sections of pages say of each file of Asterisk's, with `words` in the place of others that they have."""
    said: defaultdict[str, str] = defaultdict(str)
    for page, title in sections:
        for language, text in _BLOCK.findall(_section(page, title)):
            if language == "ini":
                file = _FILE.match(text)
                assert file, f"{page}: a block does not say of which file it is: {text}"
                said[file[1]] += f"{text}\n"
    for old, new in words.items():
        assert any(old in text for text in said.values()), f"{sections} do not say {old}"
        said.update({file: text.replace(old, new) for file, text in said.items()})
    return dict(said)


def requests(section: Section) -> list[Request]:
    """The paths with queries, and the bodies, that a section posts to ARI."""
    posted = [Request(*found) for found in _POST.findall(_section(*section))]
    assert posted, f"{section} posts nothing"
    return posted


def _section(page: str, title: str) -> str:
    found = [
        text for text in _SECTION.split((PAGES / page).read_text(encoding="utf-8")) if text.startswith(f"{title}\n")
    ]
    assert len(found) == 1, f"{page} has {len(found)} sections {title}"
    return found[0]
