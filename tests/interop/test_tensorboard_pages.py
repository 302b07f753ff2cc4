"""TensorBoard's pages, in headless Chromium, show what the callback and `mainstay.summary` wrote."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from headless_browser import Browser, find_chromium


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    chromium = find_chromium()
    if chromium is None:
        request.getfixturevalue("missing")("Chromium", "tools/install_chromium.sh")
    with Browser(chromium) as browser:
        yield browser


PAGES = {
    "timeseries": ("", ["run/train", "run/validation", "trials/0", "batch_accuracy", "epoch_loss"]),
    "scalars": ("&tagFilter=epoch_", ["run/train", "run/validation", "tag: epoch_accuracy", "0.5"]),
    "histograms": ("", ["conv/kernel/histogram", "answer/bias/histogram", "0.2"]),
    "distributions": ("", ["conv/kernel/histogram", "spread"]),
    "images": ("", ["answer/kernel/image", "step 5"]),
    "graphs": ("&run=run%2Ftrain", ["Main Graph", "inputs", "outputs"]),
    "text": ("", ["Title", "bold"]),
    "hparams": ("", ["optimizer", "rate", "Accuracy", "adam", "0.50000", "0.94000"]),
    "projector": (
        "",
        ["vocabulary/embeddings", "Points: 50", "Dimension: 8", "Total variance described"],
    ),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_its_data(slow_board, browser: Browser, page: str) -> None:
    if page == "projector":
        slow_board.wait_for("plugins_listing", lambda plugins: plugins["projector"]["enabled"])
    fragment, wanted = PAGES[page]
    shown = browser.open(f"{slow_board.address}#{page}{fragment}", *wanted)
    assert [text for text in wanted if text not in shown] == []
    picture = browser.picture()
    assert picture.startswith(b"\x89PNG")
    if folder := os.environ.get("MAINSTAY_PICTURES"):
        (Path(folder) / f"tensorboard-{page}.png").write_bytes(picture)


def test_the_graphs_page_draws_the_layers(logs: Path, start_board, browser: Browser) -> None:
    with start_board(logs / "run", "true") as board:
        board.wait_for("plugin/graphs/info", bool)
        wanted = ["inputs", "vocabulary", "conv", "mean", "flat", "join", "hidden", "drop", "answer", "outputs"]
        shown = browser.open(f"{board.address}#graphs", *wanted)
    assert [text for text in wanted if text not in shown] == []
    if folder := os.environ.get("MAINSTAY_PICTURES"):
        (Path(folder) / "tensorboard-graph.png").write_bytes(browser.picture())
