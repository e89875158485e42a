"""Searching cases in the console: indexes of names, phones and vendor ids, and what uses them.

Row-level security keeps PostgreSQL from using these indexes, because their operators are not
leakproof. So a function with the owner's rights finds the ids, of the operator's clinics alone.

Revision: 0029, after 0028
"""

from alembic import op

from pims_pipeline.store.migrations.console_functions import CONSOLE_CALLS, reserve_function

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_FORMER_CALLS = (*CONSOLE_CALLS, "pims_operator_clinics_as(text)")
"""What the console's role may call since revision 0028."""
_CALL = "pims_find_cases(text, text, text, integer)"

# Signs that the parser would take for parts of an address, a number or a tag become spaces. Names
# are cut, so that no length of theirs is too much for an index. (SQLAlchemy takes a colon before a
# letter for a parameter.)
_NAMES = (
    "to_tsvector('simple'::regconfig, translate("
    "left(patient_name, 200) || ' ' || left(client_name, 200), "
    "'/.@_:+~&<>=?-', '             '))"
)
# From the last digit to the first: the beginning of a number is written in many ways.
_DIGITS = "left(reverse(regexp_replace(left(client_phone, 100), '[^0-9]', '', 'g')), 20)"
_INDEXES = (
    ("ix_cases_names", f"USING gin ({_NAMES})"),
    ("ix_cases_phone", f'(({_DIGITS}) COLLATE "C") WHERE client_phone IS NOT NULL'),
    ("ix_cases_pims_id", "(pims_id) WHERE pims_id IS NOT NULL"),
)

# A digit's successor is a colon, so all that begin with some digits are in one range.
_FIND = f"""
    CREATE FUNCTION pims_find_cases(words text, digits text, vendor_id text, most integer)
    RETURNS SETOF uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    BEGIN ATOMIC
        SELECT found.id FROM (
            SELECT id, clinic_id, scheduled_date FROM cases
            WHERE words IS NOT NULL AND {_NAMES} @@ to_tsquery('simple'::regconfig, words)
            UNION
            SELECT id, clinic_id, scheduled_date FROM cases
            WHERE client_phone IS NOT NULL
                AND ({_DIGITS}) COLLATE "C" >= digits COLLATE "C"
                AND ({_DIGITS}) COLLATE "C" < (digits || ':') COLLATE "C"
            UNION
            SELECT id, clinic_id, scheduled_date FROM cases WHERE pims_id = vendor_id
        ) AS found
        WHERE found.clinic_id IN (SELECT pims_operator_clinics())
        ORDER BY found.scheduled_date DESC, found.id LIMIT most;
    END
"""  # noqa: S608 - fixed text

_ACTIONS = (
    "signed_in",
    "sign_in_refused",
    "signed_out",
    "clinic_seen",
    "case_seen",
    "hold_approved",
    "hold_rejected",
    "failure_retried",
    "schedule_changed",
    "sync_started",
)


def upgrade() -> None:
    # Rather fail and be run again than queue behind a long reader and block everyone else.
    op.execute("SET LOCAL lock_timeout = '5s'")
    for name, rest in _INDEXES:
        op.execute(f"CREATE INDEX {name} ON cases {rest}")
    op.execute(_FIND)
    op.execute(reserve_function((*_FORMER_CALLS, _CALL)))
    op.execute("SELECT pims_reserve_functions()")
    _allow_actions((*_ACTIONS, "sync_seen", "cases_searched", "hold_reopened"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    # The log only grows, so rows of these actions stay.
    _allow_actions(_ACTIONS, check="NOT VALID")
    op.execute(reserve_function(_FORMER_CALLS))
    op.execute(f"DROP FUNCTION {_CALL}")
    for name, _ in _INDEXES:
        op.execute(f"DROP INDEX {name}")


def _allow_actions(actions: tuple[str, ...], check: str = "") -> None:
    allowed = ", ".join(f"'{action}'" for action in actions)
    op.execute("ALTER TABLE operator_log DROP CONSTRAINT ck_operator_log_action")
    op.execute(
        "ALTER TABLE operator_log ADD CONSTRAINT ck_operator_log_action "
        f"CHECK (action IN ({allowed})) {check}"
    )
