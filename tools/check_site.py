"""Checks a built documentation site: it must load nothing from another host, so that it works without a network.

`check_site.py FOLDER` prints each offence and ends with an error if there is one. Links that a reader may
follow are fine.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
_NOT_LOADED = {"canonical", "next", "prev", "alternate"}


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        address = values.get(_LOADED.get(tag, "")) or ""
        if "//" in address and values.get("rel") not in _NOT_LOADED:
            self.addresses.append(address)


def foreign_loads(folder: Path) -> list[str]:
    """Return what the pages and style sheets under `folder` load from other hosts, as ``page: address``."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        loads = _Loads()
        loads.feed(page.read_text())
        found += [f"{page.relative_to(folder)}: {address}" for address in loads.addresses]
    for sheet in sorted(folder.rglob("*.css")):
        text = sheet.read_text()
        if "url(http" in text or "url(//" in text or "@import" in text:
            found.append(f"{sheet.relative_to(folder)}: a style sheet that loads from elsewhere")
    return found


if __name__ == "__main__":
    offences = foreign_loads(Path(sys.argv[1]))
    sys.stdout.writelines(f"{offence}\n" for offence in offences)
    raise SystemExit(bool(offences))
