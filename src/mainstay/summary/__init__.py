"""TensorBoard event files: scalars, histograms, images, texts, graphs and hyperparameters."""

from mainstay.summary import experimental
from mainstay.summary.graphs import graph, keras_model
from mainstay.summary.histograms import histogram
from mainstay.summary.hyperparameters import Discrete, HParam, Interval, Metric, hparams, hparams_config, hparams_end
from mainstay.summary.images import image
from mainstay.summary.scalars import scalar
from mainstay.summary.state import record_if, should_record_summaries
from mainstay.summary.tensors import write
from mainstay.summary.texts import text
from mainstay.summary.writers import SummaryWriter, create_file_writer, create_noop_writer, flush

__all__ = [
    "Discrete",
    "HParam",
    "Interval",
    "Metric",
    "SummaryWriter",
    "create_file_writer",
    "create_noop_writer",
    "experimental",
    "flush",
    "graph",
    "histogram",
    "hparams",
    "hparams_config",
    "hparams_end",
    "image",
    "keras_model",
    "record_if",
    "scalar",
    "should_record_summaries",
    "text",
    "write",
]
