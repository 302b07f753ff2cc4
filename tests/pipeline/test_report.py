import html
import json
import re
import shlex

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import anomalies_pb2

from mainstay import validation
from mainstay.analysis import EvaluationBatch, SliceColumn, evaluate
from mainstay.pipeline.components.label import describe_label
from mainstay.pipeline.components.report import Report, charts, render_report, verdict

HOSTILE = '<script>alert("x")</script>'


def make_report(predictions):
    labels = pa.array([0.0, 1.5, 3.0, 4.5])
    label = describe_label("y", train=[labels], everything=[labels], task="auto")
    names = SliceColumn(np.array([0, 1, 0, 1]), [HOSTILE, None])
    truth = labels.to_numpy()
    evaluation = evaluate(
        [EvaluationBatch(truth, np.asarray(predictions), {"town": names})], task="regression", baseline=label.baseline
    )
    table = pa.table({"y": labels, "town": [HOSTILE, None, "a", "ü"], "empty": pa.nulls(4)})
    statistics = validation.generate_statistics_from_batches(table)
    anomalies = anomalies_pb2.Anomalies()
    anomalies.anomaly_info[HOSTILE].description = HOSTILE
    return Report(
        name="towns & co",
        label=label,
        evaluation=evaluation,
        history={"loss": [0.5, 0.4], "val_loss": [0.6, 0.45]},
        statistics=statistics.datasets[0],
        schema=validation.infer_schema(statistics),
        anomalies=anomalies,
        plan=[{"column": "empty", "treatment": "left out", "reason": "every value is missing"}],
        summary={"rows": {"train": 2, "validation": 1, "eval": 1}, "rows_without_label": 3},
        facts={"Model name": "towns", "Model folder": "out/model", "Data": HOSTILE},
        request={"instances": [{"town": "it's"}]},
    )


def test_nothing_from_the_data_can_become_markup():
    page = render_report(make_report([0.1, 1.4, 3.0, 4.4]))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4


def test_the_page_needs_no_network_and_is_one_file():
    page = render_report(make_report([0.1, 1.4, 3.0, 4.4]))
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert "default-src 'none'" in page
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]+)"', page))


def test_the_curl_line_survives_quotes_in_values():
    page = html.unescape(render_report(make_report([0.1, 1.4, 3.0, 4.4])))
    line = next(line for line in page.splitlines() if line.startswith("curl "))
    words = shlex.split(line.removesuffix("</pre>"))
    assert json.loads(words[words.index("-d") + 1]) == {"instances": [{"town": "it's"}]}


def test_every_link_of_the_page_leads_somewhere():
    page = render_report(make_report([0.1, 1.4, 3.0, 4.4]))
    for target in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{target}"' in page


def test_a_model_that_is_no_better_than_a_constant_is_called_so():
    assert "should not be used" in render_report(make_report([9.0, 9.0, 9.0, 9.0]))
    assert "should not be used" not in render_report(make_report([0.1, 1.4, 3.0, 4.4]))
    assert not verdict(make_report([9.0, 9.0, 9.0, 9.0]).evaluation)["good"]


def test_charts_survive_constant_single_and_infinite_values():
    for line in ([1.0], [0.0, 0.0], [1.0, float("inf"), 2.0]):
        assert "<svg" in charts.lines({"loss": line}, x_label="epoch", y_label="loss")
    assert charts.histogram([0, 0], low=0, high=1).count("<rect") == 2
