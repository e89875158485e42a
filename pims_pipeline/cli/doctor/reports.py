"""The reports of the doctor's checks on this process's environment.

``command`` shows them as a table, ``part.starting`` before a part starts. What is checked belongs
in ``diagnosis``.
"""

import os
from collections.abc import Sequence
from functools import partial

from pims_pipeline.cli.doctor.installation import opened_installation
from pims_pipeline.composition import set_up_logging
from pims_pipeline.diagnosis.checking import diagnose
from pims_pipeline.diagnosis.checks import CHECKS, unchecked
from pims_pipeline.diagnosis.environment import settings_report
from pims_pipeline.domain.diagnosis.findings import CheckReport
from pims_pipeline.setting_files import file_variable
from pims_pipeline.settings import (
    FORMER_VARIABLES,
    Settings,
    SettingsError,
    exposed_secret_files,
    load_settings,
    secret_variable_names,
    variable_names,
)


def reports_of(names: Sequence[str]) -> tuple[CheckReport, ...]:
    """The reports of the settings, and of these checks."""
    report, settings = _settings()
    if settings is None:
        return (report, *unchecked(tuple(names)))
    checks = [each for each in CHECKS if each.name in names]
    with opened_installation(settings) as installation:
        return (report, *diagnose(installation, checks))


def _settings() -> tuple[CheckReport, Settings | None]:
    """What is to say of the environment, and the settings if they are correct."""
    known = {*variable_names().values(), *map(file_variable, secret_variable_names())}
    about = partial(
        settings_report, exposed=exposed_secret_files(), present=os.environ, known=known
    )
    try:
        settings = load_settings()
    except SettingsError as error:
        return about(problems=error.problems), None
    set_up_logging(settings)
    ignored = [(name, FORMER_VARIABLES[name]) for name in settings.ignored_variables()]
    return about(ignored=ignored), settings
