"""Fixtures: a v4.0 installation beside our tables."""

from pims_pipeline_tests.adoption.v4_databases import databases, deployed, theirs

__all__ = ["databases", "deployed", "theirs"]
