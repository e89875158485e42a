"""Keys imported from a v4.0 installation: their prefixes are longer, and not unique.

Several keys may begin with the same characters, so the API's function finds all of them. What
identifies a key is its hash: a key belongs to one clinic, however often it is imported. A key may
have its requests wait for their syncs, as the v4.0 service did.

Revision: 0016, after 0015
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION pims_api_key(text)")
    op.execute(
        """
    ALTER TABLE clinic_api_keys
        DROP CONSTRAINT uq_clinic_api_keys_key_prefix,
        ALTER COLUMN key_prefix TYPE text,
        ADD CONSTRAINT ck_clinic_api_keys_key_prefix
            CHECK (length(key_prefix) BETWEEN 8 AND 12),
        ADD CONSTRAINT uq_clinic_api_keys_key_hash UNIQUE (key_hash),
        ADD COLUMN wait_seconds integer,
        ADD CONSTRAINT ck_clinic_api_keys_wait_seconds
            CHECK (wait_seconds BETWEEN 1 AND 120)
    """
    )
    op.execute("CREATE INDEX ix_clinic_api_keys_key_prefix ON clinic_api_keys (key_prefix)")
    op.execute(_KEYS_FUNCTION)
    op.execute("SELECT pims_reserve_functions()")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("DROP FUNCTION pims_api_keys(text)")
    # No longer findable in that version, and one of several with the same prefix even less. The
    # requests that refer to a key keep its row from being deleted.
    op.execute(
        """
    UPDATE clinic_api_keys SET
        is_active = false, key_prefix = left(replace(id::text, '-', ''), 8)
    WHERE length(key_prefix) <> 8
        OR (SELECT count(*) FROM clinic_api_keys AS other
            WHERE other.key_prefix = clinic_api_keys.key_prefix) > 1
    """
    )
    op.execute("DROP INDEX ix_clinic_api_keys_key_prefix")
    op.execute(
        """
    ALTER TABLE clinic_api_keys
        DROP CONSTRAINT ck_clinic_api_keys_wait_seconds,
        DROP COLUMN wait_seconds,
        DROP CONSTRAINT uq_clinic_api_keys_key_hash,
        DROP CONSTRAINT ck_clinic_api_keys_key_prefix,
        ALTER COLUMN key_prefix TYPE char(8),
        ADD CONSTRAINT uq_clinic_api_keys_key_prefix UNIQUE (key_prefix)
    """
    )
    op.execute(_KEY_FUNCTION)
    op.execute("SELECT pims_reserve_functions()")


# Their bodies are bound to the tables now: no search path can lead them elsewhere.
_KEYS_FUNCTION = """
    CREATE FUNCTION pims_api_keys(start text)
    RETURNS TABLE (
        id uuid, clinic_id uuid, clinic_is_active boolean, key_hash text, permissions text[],
        is_active boolean, expires_at timestamptz, last_used_at timestamptz, wait_seconds integer
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT key.id, key.clinic_id, clinic.is_active, key.key_hash::text, key.permissions,
            key.is_active, key.expires_at, key.last_used_at, key.wait_seconds
        FROM clinic_api_keys AS key JOIN clinics AS clinic ON clinic.id = key.clinic_id
        WHERE length(start) BETWEEN 8 AND 12 AND key.key_prefix IN (
            left(start, 8), left(start, 9), left(start, 10), left(start, 11), start
        )
        -- An import takes no more keys that begin alike.
        LIMIT 256;
    END
"""

_KEY_FUNCTION = """
    CREATE FUNCTION pims_api_key(prefix text)
    RETURNS TABLE (
        id uuid, clinic_id uuid, clinic_is_active boolean, key_hash text, permissions text[],
        is_active boolean, expires_at timestamptz, last_used_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT key.id, key.clinic_id, clinic.is_active, key.key_hash::text, key.permissions,
            key.is_active, key.expires_at, key.last_used_at
        FROM clinic_api_keys AS key JOIN clinics AS clinic ON clinic.id = key.clinic_id
        WHERE key.key_prefix = prefix::char(8) AND length(prefix) = 8;
    END
"""
