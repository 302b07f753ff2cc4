"""The lineage store: artifacts, executions, contexts and events, in SQLite, as an audit log."""

from mainstay.metadata.migrations import migrate
from mainstay.metadata.records import Artifact, Context, Execution, Lineage
from mainstay.metadata.store import MetadataStore
from mainstay.metadata.tables import SCHEMA_VERSION

__all__ = ["SCHEMA_VERSION", "Artifact", "Context", "Execution", "Lineage", "MetadataStore", "migrate"]
