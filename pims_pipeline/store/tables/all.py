"""The metadata with every table, for what works on all of them: migrations, roles, tests.

Importing one area loads the tables of that area alone. Add a module here when an area is added.
"""

from pims_pipeline.store.tables import (
    access,
    adoptions,
    cases,
    clinics,
    contract,
    operations,
    operators,
    syncs,
    webhooks,
)
from pims_pipeline.store.tables.columns import metadata

AREAS = (clinics, access, cases, syncs, operations, adoptions, contract, webhooks, operators)

__all__ = ["AREAS", "metadata"]
