"""What the code server imports before runs are forked."""

import sys
from importlib import import_module

import psutil  # type: ignore[import-untyped]  # it carries no types

from pims_pipeline.orchestration.code_server.main import run_modules
from pims_pipeline.providers.registry import registry
from pims_pipeline_tests.orchestration.code_server.test_run_processes import in_own_process
from pims_pipeline_tests.providers.packages import BROKEN, installed_beside

LATER = {"matplotlib", "pandas", "playwright"}
"""Large libraries that few runs need; pandas starts threads."""


def imported() -> set[str]:
    """Import the modules; return the libraries that this loads."""
    me = psutil.Process()
    connections = me.net_connections("all")
    for each in run_modules():
        import_module(each)

    assert me.num_threads() == 1
    assert me.net_connections("all") == connections
    return {name.partition(".")[0] for name in sys.modules}


def test_importing_what_runs_need_starts_no_thread_and_opens_no_connection() -> None:
    libraries = in_own_process(imported)

    assert {"dagster", "psycopg", "psycopg2", "httpx2"} <= libraries
    assert libraries & LATER == set()


def test_every_adapter_is_imported_before_runs_start() -> None:
    adapters = {name.split(".")[-2] for name in registry().adapter_modules()}

    assert adapters == set(registry().types)


def test_a_broken_package_does_not_keep_the_code_server_from_starting() -> None:
    before = run_modules()
    with installed_beside(BROKEN):
        assert run_modules() == before
