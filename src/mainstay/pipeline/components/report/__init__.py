"""The report page of a run."""

from mainstay.pipeline.components.report.page import Report, render_report, verdict

__all__ = ["Report", "render_report", "verdict"]
