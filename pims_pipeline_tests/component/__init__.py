"""Tests of the component, and of Dagster's command `dg` over this repository and the example."""
