"""The report page of a run."""

from mainstay.pipeline.components.report.page import Report, metric_rows, render_report, verdict

__all__ = ["Report", "metric_rows", "render_report", "verdict"]
