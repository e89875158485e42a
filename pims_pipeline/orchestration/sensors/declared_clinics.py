"""The sensor ``declared_clinics``: registers the clinics that a project's ``defs.yaml`` declares.

Only the component has it: clinics are otherwise registered with ``pims clinics add``.
"""

from collections.abc import Sequence

import dagster as dg
from sqlalchemy import Engine

from pims_pipeline.operations.clinics import NewClinic, register_missing_clinics


def build_declared_clinics(declared: Sequence[NewClinic]) -> dg.SensorDefinition:
    """Return the sensor that registers these clinics where they are missing."""

    @dg.sensor(
        name="declared_clinics",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Registers the clinics of `defs.yaml` that are missing. It never changes, deactivates "
            "or deletes one: use `pims clinics`."
        ),
    )
    def declared_clinics(
        context: dg.SensorEvaluationContext, store: dg.ResourceParam[Engine]
    ) -> dg.SkipReason:
        added = register_missing_clinics(store, declared)
        if not added:
            return dg.SkipReason("all declared clinics are registered")
        context.log.info("registered clinics: %s", ", ".join(added))
        next_step = "store each login with `pims credentials set`"
        return dg.SkipReason(f"registered {', '.join(added)}; {next_step}")

    return declared_clinics
