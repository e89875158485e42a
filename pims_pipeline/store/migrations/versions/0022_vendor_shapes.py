"""Which fields vendors were seen to send, of which JSON types and how often; never values.

Revision: 0022, after 0021
"""

import sqlalchemy as sa
from alembic import op

from pims_pipeline.store.migrations.access import forget_access, grant_access

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TABLE = "vendor_shapes"
_ACCESS = ((_TABLE, "clinic_id", "SELECT, INSERT, UPDATE, DELETE", ""),)
_TYPES = ("object", "array", "string", "number", "boolean", "null")


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_shapes()
    grant_access(*_ACCESS)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    forget_access(_TABLE)
    op.drop_table(_TABLE)


def _create_shapes() -> None:
    allowed = ", ".join(f"'{each}'" for each in _TYPES)
    op.create_table(
        _TABLE,
        sa.Column("clinic_id", sa.Uuid(), nullable=False),
        sa.Column("provider_type", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("json_type", sa.Text(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"json_type IN ({allowed})", name=op.f(f"ck_{_TABLE}_json_type")),
        sa.CheckConstraint("length(path) BETWEEN 1 AND 500", name=op.f(f"ck_{_TABLE}_path")),
        sa.CheckConstraint("seen >= 1", name=op.f(f"ck_{_TABLE}_seen")),
        sa.CheckConstraint("extract(isodow FROM week) = 1", name=op.f(f"ck_{_TABLE}_week")),
        sa.CheckConstraint("first_seen_at <= last_seen_at", name=op.f(f"ck_{_TABLE}_times")),
        sa.ForeignKeyConstraint(
            ["clinic_id"],
            ["clinics.id"],
            name=f"fk_{_TABLE}_clinic_id_clinics",
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint(
            "clinic_id", "provider_type", "week", "path", "json_type", name=f"pk_{_TABLE}"
        ),
        postgresql_with={"fillfactor": 80},
    )
