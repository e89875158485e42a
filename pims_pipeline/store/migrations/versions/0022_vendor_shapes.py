"""Which fields vendors were seen to send, of which JSON types and how often; never values.

``pims_access()`` is extended from what it is when this runs, as by the revisions before.

Revision: 0022, after 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_TABLE = "vendor_shapes"
_TYPES = ("object", "array", "string", "number", "boolean", "null")


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    _create_shapes()
    _replace_access(
        f"UNION ALL SELECT '{_TABLE}', 'clinic_id', 'SELECT, INSERT, UPDATE, DELETE', ''"
    )
    op.execute("SELECT pims_secure_tables()")
    for role, function in (("pims_service", "service"), ("pims_api", "api")):
        op.execute(
            f"DO $$ BEGIN IF to_regrole('{role}') IS NOT NULL THEN "
            f"PERFORM pims_grant_{function}(); END IF; END $$"
        )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    _replace_access("")
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


def _replace_access(more: str) -> None:
    """Make ``pims_access()`` again, of its other rows and ``more``."""
    op.execute(
        f"""
        DO $do$
        DECLARE
            rows text;
        BEGIN
            SELECT string_agg(
                format('(%L, %L, %L, %L)', name, clinic_column, service_rights, api_rights), ', ')
            INTO rows
            FROM (SELECT * FROM pims_access() WHERE name <> '{_TABLE}' {more}) AS access;
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION pims_access() '
                'RETURNS TABLE (name text, clinic_column text, service_rights text, '
                'api_rights text) LANGUAGE sql IMMUTABLE SET search_path = '''' AS %L',
                'VALUES ' || rows);
        END
        $do$
        """  # noqa: S608 - fixed names
    )
