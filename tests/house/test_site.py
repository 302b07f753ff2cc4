"""The documentation covers every room, lists every page, and loads nothing from another host."""

from pathlib import Path

from check_site import foreign_loads


def uncovered_rooms(source: Path, reference: Path) -> list[str]:
    """The rooms without a reference page that shows their door."""
    pages = {page.stem: page.read_text() for page in reference.glob("*.md")}
    rooms = sorted(door.parent.name for door in source.glob("*/__init__.py"))
    return [room for room in rooms if f"::: mainstay.{room}\n" not in pages.get(room, "")]


def unlisted_pages(docs: Path, configuration: str) -> list[str]:
    """The pages that the navigation does not name."""
    names = sorted(page.relative_to(docs).as_posix() for page in docs.rglob("*.md"))
    return [name for name in names if f" {name}\n" not in configuration]


def test_every_room_has_a_reference_page(repository: Path, source: Path) -> None:
    assert uncovered_rooms(source, repository / "docs" / "reference") == []


def test_every_page_is_in_the_navigation(repository: Path) -> None:
    assert unlisted_pages(repository / "docs", (repository / "mkdocs.yml").read_text()) == []


def test_a_room_without_a_page_and_a_page_without_a_place_are_found(tmp_path: Path) -> None:
    (tmp_path / "io").mkdir()
    (tmp_path / "io" / "__init__.py").touch()
    (tmp_path / "index.md").touch()
    assert uncovered_rooms(tmp_path, tmp_path) == ["io"]
    assert unlisted_pages(tmp_path, "nav:\n  - Home: home.md\n") == ["index.md"]


def test_a_page_that_loads_from_another_host_is_found(tmp_path: Path) -> None:
    (tmp_path / "good.html").write_text(
        '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org">'
        '<script src="a.js"></script>'
    )
    assert foreign_loads(tmp_path) == []
    (tmp_path / "bad.html").write_text(
        '<script src="https://example.org/a.js"></script><img src="//example.org/b.png">'
    )
    (tmp_path / "bad.css").write_text("@import 'other.css'")
    assert foreign_loads(tmp_path) == [
        "bad.html: https://example.org/a.js",
        "bad.html: //example.org/b.png",
        "bad.css: a style sheet that loads from elsewhere",
    ]
