"""What a vendor's words mean for a case, over the whole tables and any text."""

from itertools import product
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pims_pipeline.domain.records.appointments import PimsAppointment
from pims_pipeline.domain.records.cases import case_id_of, draft_of
from pims_pipeline.domain.records.words import (
    ADDED_STATUS_WORDS,
    ADDED_TYPE_WORDS,
    DEFAULT_WORDS,
    CaseStatus,
    CaseType,
    Match,
    case_type_of,
    status_of,
)
from pims_pipeline_tests.domain.strategies import CLINIC_ID, appointments, identities

STATUS_TABLE = {
    CaseStatus.DRAFT: (
        "scheduled, confirmed, unconfirmed, not arrived, not confirmed, booked, pending"
    ),
    CaseStatus.ONGOING: (
        "checked in, arrived, in progress, in consultation, in room, admitted, ready to pay, "
        "ready for discharge"
    ),
    CaseStatus.COMPLETED: (
        "completed, complete, finalized, finished, done, discharged, departed, paid, closed"
    ),
    CaseStatus.REVIEWED: "cancelled, canceled, no show, did not attend",
}
TYPE_TABLE = {
    CaseType.CHECKUP: (
        "exam, checkup, check up, well appointment, wellness, vaccination, vaccinations, vaccine, "
        "vaccines, diagnostic, consultation, sick, default"
    ),
    CaseType.SURGERY: "surgery, dental, dentistry, procedure, neuter, spay",
    CaseType.EMERGENCY: "emergency, urgent, urgent care",
    CaseType.FOLLOW_UP: "follow up, recheck, re-check, suture removal",
}
STATUS_ROWS = [(w, status) for status, words in STATUS_TABLE.items() for w in words.split(", ")]
TYPE_ROWS = [(w, kind) for kind, words in TYPE_TABLE.items() for w in words.split(", ")]
URGENCY = [CaseType.CHECKUP, CaseType.FOLLOW_UP, CaseType.SURGERY, CaseType.EMERGENCY]
any_text = st.text(st.characters())


def spellings(words: str) -> set[str]:
    """The same words in other spellings."""
    gaps = [" ", "_", "-", "  ", " - ", "\u00a0", "\t"]
    spelled = {gap.join(words.replace("-", " ").split()) for gap in gaps}
    spelled |= {f"  {each}\n" for each in spelled}
    return {
        recased
        for each in spelled
        for recased in (each, each.upper(), each.title(), each.swapcase())
    }


@pytest.mark.parametrize(("words", "status"), STATUS_ROWS)
def test_a_vendor_status_is_understood_in_any_spelling(words: str, status: CaseStatus) -> None:
    assert {spelled: status_of(spelled) for spelled in spellings(words)} == dict.fromkeys(
        spellings(words), status
    )


@pytest.mark.parametrize(
    "words",
    [
        "",
        None,
        " ",
        "confirmedish",
        "un confirmed",
        "checkedin",
        "paid up",
        "nö show",
        "🐶",
        "\ud800",
    ],
)
def test_other_statuses_are_unknown(words: str | None) -> None:
    assert status_of(words) is None


def test_letters_that_only_look_alike_in_lower_case_are_understood_too() -> None:
    assert status_of("ﬁniſhed") is CaseStatus.COMPLETED


@pytest.mark.parametrize(("words", "kind"), TYPE_ROWS)
def test_an_appointment_type_is_understood_in_any_spelling(words: str, kind: CaseType) -> None:
    assert {spelled: case_type_of(spelled) for spelled in spellings(words)} == dict.fromkeys(
        spellings(words), kind
    )


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Dental - Surgery", CaseType.SURGERY),
        ("Spay/Neuter (cat)", CaseType.SURGERY),
        ("URGENT recheck", CaseType.EMERGENCY),
        ("Post-op re-check, 10 days", CaseType.FOLLOW_UP),
        ("RE_CHECK up", CaseType.FOLLOW_UP),
        ("Pre-check up", CaseType.CHECKUP),
        ("Annual check up", CaseType.CHECKUP),
        ("Vaccine/follow-up", CaseType.FOLLOW_UP),
        ("Exam: Emergency", CaseType.EMERGENCY),
        ("Insurgent display", CaseType.CHECKUP),
        ("Accidental damage", CaseType.CHECKUP),
        ("spayed?", CaseType.CHECKUP),
        ("Nail trim", CaseType.CHECKUP),
        ("🐾surgery🐾", CaseType.SURGERY),
        ("", CaseType.CHECKUP),
        (None, CaseType.CHECKUP),
    ],
)
def test_the_most_urgent_whole_word_of_a_free_text_type_decides(
    words: str | None, kind: CaseType
) -> None:
    assert case_type_of(words) is kind


@given(any_text)
@example("\ud83d")
@example("👩‍⚕️ URGENT")
@example("İ" * 1000)
@example("a-" * 500_000)
@example("re check " * 100_000)
def test_the_mappings_accept_any_text(text: str) -> None:
    assert status_of(text) in {None, *CaseStatus}
    assert case_type_of(text) in set(CaseType)


@given(any_text)
def test_separators_and_case_make_no_difference(text: str) -> None:
    other = text.replace("-", "_").replace("_", " ")
    assert status_of(text) is status_of(other)
    assert case_type_of(text) is case_type_of(other)


@given(st.lists(st.sampled_from(TYPE_ROWS), min_size=1, max_size=4), st.sampled_from("/,.+&("))
def test_the_most_urgent_of_several_words_wins(
    rows: list[tuple[str, CaseType]], separator: str
) -> None:
    text = separator.join(words for words, _ in rows)
    assert case_type_of(text) is max((kind for _, kind in rows), key=URGENCY.index)


def test_of_any_two_words_the_more_urgent_wins() -> None:
    for (one, its_kind), (other, other_kind) in product(TYPE_ROWS, TYPE_ROWS):
        wanted = max(its_kind, other_kind, key=URGENCY.index)
        assert case_type_of(f"{one} & {other}") is wanted, (one, other)


def test_an_added_word_is_known_as_a_whole() -> None:
    assert {DEFAULT_WORDS.type_match(word) for word in ADDED_TYPE_WORDS} == {Match.EXACT}
    assert {DEFAULT_WORDS.status_of(word) for word in ADDED_STATUS_WORDS}.isdisjoint({None})


@given(appointments())
def test_a_draft_says_what_the_appointment_says(appointment: PimsAppointment) -> None:
    draft = draft_of(appointment)
    assert draft.patient_name == appointment.patient.name
    assert draft.patient_species == appointment.patient.species
    assert draft.client_name == appointment.client.name
    assert draft.client_phone == appointment.client.phone
    assert draft.scheduled_date == appointment.business_date
    assert draft.scheduled_start == appointment.scheduled_start
    assert draft.scheduled_end == appointment.scheduled_end
    assert draft.facts == {
        "status": appointment.status,
        "type": appointment.appointment_type,
        "provider": appointment.provider,
        "room": appointment.room,
        "reason": appointment.reason,
    }
    stated = appointment.stated_type
    assert draft.case_type is (stated or case_type_of(appointment.appointment_type))
    known = status_of(appointment.status)
    assert draft.status is (known or CaseStatus.DRAFT)


@given(identities, identities)
def test_an_appointment_gives_the_same_case_always_and_another_appointment_another(
    one: str, other: str
) -> None:
    assert (case_id_of(CLINIC_ID, "fake", one) == case_id_of(CLINIC_ID, "fake", other)) == (
        one == other
    )
    assert case_id_of(UUID(int=1), "fake", one) != case_id_of(UUID(int=2), "fake", one)
    assert case_id_of(CLINIC_ID, "fake", one) != case_id_of(CLINIC_ID, "idexx_neo", one)


def test_case_identities_never_change_between_releases() -> None:
    known = UUID("6e7ae903-7906-500f-abe9-f998ff85299c")
    assert case_id_of(UUID(int=7), "idexx_neo", "351855") == known
