"""Lets pytest explain the assertions of the suite; imported before the suite's modules.

pytest rewrites only what is not imported yet, and test modules import the suite before they load
the plugin.
"""

import pytest

pytest.register_assert_rewrite("pims_pipeline.conformance.promises")
