import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from itertools import pairwise

import numpy as np

from mainstay.serving import StepResult, plot_svg
from mainstay.serving.load.results import gather


def test_percentiles_are_latencies_that_occurred():
    result = gather(100.0, 2.0, [0.001 * (index + 1) for index in range(200)], Counter({"status 503": 3}))
    assert result.rate == 100
    assert result.num_failures == 3
    found = result.percentiles()
    assert [round(found[name] * 1e3) for name in (50.0, 90.0, 99.0, 100.0)] == [101, 181, 199, 200]
    document = json.loads(json.dumps(result.to_json()))
    assert document["answers"] == 200
    assert document["failures"] == {"status 503": 3}
    assert round(document["milliseconds"]["p100"], 6) == 200


def test_a_step_without_answers_has_no_latencies():
    result = gather(10.0, 1.0, [], Counter({"the connection was lost": 10}))
    assert all(np.isnan(value) for value in result.percentiles().values())
    assert result.to_json()["milliseconds"] == {}


def test_the_plot_is_a_picture_with_a_line_for_each_percentile_and_its_names_apart():
    steps = [
        StepResult(rate, 1.0, np.random.default_rng(0).exponential(0.002 * rate / 100, int(rate)))
        for rate in (100.0, 400.0, 200.0)
    ]
    picture = ElementTree.fromstring(plot_svg([*steps, StepResult(1.0, 1.0, np.empty(0))], "a <model>"))
    space = "{http://www.w3.org/2000/svg}"
    lines = picture.findall(f"{space}polyline")
    assert len(lines) == 5
    for line in lines:
        points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        assert len(points) == 3
        assert points == sorted(points)
        assert all(0 <= x <= 720 and 0 <= y <= 420 for x, y in points)
    names = [text for text in picture.findall(f"{space}text") if (text.text or "").startswith(("p", "slow"))]
    heights = sorted(float(name.get("y")) for name in names)
    assert len(names) == 5
    assert all(low + 13 < high for low, high in pairwise(heights))
    assert "a <model>" in {text.text for text in picture.findall(f"{space}text")}
