"""The fixtures of ``bench``, for all tests of the syncs."""

from pims_pipeline_tests.sync.bench import bench, clock, vendor

__all__ = ["bench", "clock", "vendor"]
