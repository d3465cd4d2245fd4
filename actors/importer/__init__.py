"""Import customers, events and attribute changes from files into an audience folder."""

from actors.importer.accounting import ImportSummary, SourceCounts
from actors.importer.run import import_audience

__all__ = ["ImportSummary", "SourceCounts", "import_audience"]
