"""The fixtures of ``bench``, to fill a database before it is dumped or migrated."""

from pims_pipeline_tests.sync.bench import bench, clock, vendor

__all__ = ["bench", "clock", "vendor"]
