"""The environment of each process of ``pims up``: an allow-list per process.

A process without a secret cannot leak it: the simulator reads any request, the webserver is
third-party code, the user of a database server can read its environment. So add a new variable here
by name for each process that needs it. Pass secrets in the environment only, never as arguments.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pims_pipeline.setting_files import file_variable, without_replaced_files
from pims_pipeline.settings import secret_variable_names, variable_names

_SYSTEM = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP"),
        *("VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT"),
    }
)
_SYSTEM_PREFIXES = ("LC_", "LD_", "PYTHON")
"""Needed to start any program: paths, language, time zone, Python's own."""

_NETWORK = frozenset(
    name
    for plain in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    for name in (plain, plain.lower())
)
"""Proxies. The address of a proxy may hold a password."""

_SCREEN = frozenset({"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR"})
"""For PIMS_BROWSER_HEADLESS=false."""

_LIBPQ_PREFIX = "PG"
"""PostgreSQL's client: certificates, timeouts, the password file, also PGPASSWORD."""

_DAGSTER = frozenset({"DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "DAGSTER_EVENT_BATCH_SIZE"})

_GOES_WITH = MappingProxyType({"SLACK_BOT_TOKEN": "SLACK_CHANNEL", "AXIOM_TOKEN": "AXIOM_DATASET"})

ALLOWED_SECRETS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "dagster-code-server": frozenset(
            {
                "PIMS_DATABASE_URL",
                "SUPABASE_DB_URL",
                "DAGSTER_POSTGRES_URL",
                "ENCRYPTION_KEY",
                "ENCRYPTION_KEYS_RETIRED",
                "SLACK_BOT_TOKEN",
                # Sensors run in the code server; the daemon only asks it to run them.
                "PIMS_HEARTBEAT_URL",
                "AXIOM_TOKEN",
            }
        ),
        "dagster": frozenset({"DAGSTER_POSTGRES_URL"}),
        "pims-serve": frozenset({"PIMS_API_DATABASE_URL", "PIMS_METRICS_TOKEN", "AXIOM_TOKEN"}),
        "pims-simulate": frozenset(),
        "postgres": frozenset(),
    }
)
"""The secret settings that each process gets. Runs are children of the code server."""


def plain_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program without secrets, such as the simulator."""
    return {name: value for name, value in given.items() if _is_of_system(name)}


def dagster_service_environment(
    given: Mapping[str, str], dagster: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the Dagster UI and the daemon: Dagster's storage, no encryption key.

    Args:
        given: This process's environment.
        dagster: See ``dagster_environment``.
    """
    return {**plain_environment(given), **_libpq(given), **_only(_DAGSTER, dagster)}


def code_server_environment(
    given: Mapping[str, str], dagster: Mapping[str, str], more: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the code server and its runs.

    They decrypt logins, send requests to vendors and write to Slack.

    Args:
        given: This process's environment.
        dagster: See ``dagster_environment``.
        more: Variables that override the others.
    """
    kept = _settings(given, ALLOWED_SECRETS["dagster-code-server"])
    browser = {name: value for name, value in given.items() if name.startswith("PLAYWRIGHT_")}
    network = _only(_NETWORK | _SCREEN, given)
    service = dagster_service_environment(given, dagster)
    return without_replaced_files(
        {**service, **network, **browser, **kept, **_only(_DAGSTER, dagster), **more}
    )


def api_environment(given: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The environment of the API: its own database login and its own limits.

    Args:
        given: This process's environment.
        more: Variables that override the others.
    """
    kept = _settings(given, ALLOWED_SECRETS["pims-serve"])
    libpq = {name: value for name, value in _libpq(given).items() if name != "PGPASSWORD"}
    return without_replaced_files(
        {**plain_environment(given), **_only(_NETWORK, given), **libpq, **kept, **more}
    )


def _settings(given: Mapping[str, str], secrets: Iterable[str]) -> dict[str, str]:
    allowed = set(secrets)
    withheld = secret_variable_names() - allowed
    # The settings reject half a pair.
    halves = {_GOES_WITH[name] for name in withheld if name in _GOES_WITH}
    files = {file_variable(name) for name in allowed}
    return _only((set(variable_names().values()) - withheld - halves) | files, given)


def _libpq(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if name.startswith(_LIBPQ_PREFIX)}


def _only(names: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    return {name: given[name] for name in names if name in given}


def _is_of_system(name: str) -> bool:
    return name in _SYSTEM or name.startswith(_SYSTEM_PREFIXES)
