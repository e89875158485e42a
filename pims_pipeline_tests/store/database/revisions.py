"""The revisions of the store's tables, as their files name them."""

from pathlib import Path

from pims_pipeline.store import migrations

_FILES = Path(migrations.__file__).parent / "versions"
REVISIONS = sorted(path.name.partition("_")[0] for path in _FILES.glob("[0-9]*.py"))
