"""The checks: silent on a sound store, loud on one that was tampered with."""

import dagster as dg
import pytest

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.domain.phases import Phase
from pims_pipeline.domain.planning.enrichment import EnrichmentPolicy
from pims_pipeline.domain.planning.reconciliation import DeletionPolicy
from pims_pipeline.orchestration.checks import phases as checks
from pims_pipeline.orchestration.checks.phases import CHECKS, CheckInput, Finding
from pims_pipeline.orchestration.resources import Rules
from pims_pipeline.providers.port import TransientError
from pims_pipeline.sync.phases.verification import last_audits
from pims_pipeline_tests.orchestration.deployment import SLUGS, DagsterDeployment, days, keys

WINDOW = days(-3, 0)


def judge(
    deployment: DagsterDeployment,
    name: str,
    run_id: str,
    window: DateRange = WINDOW,
    *,
    sync_type: Phase | None = None,
) -> list[Finding]:
    """What a check finds wrong with a window of alder, after a run; the first of that name."""
    sync_type, judges = next(
        (each, found)
        for each, found in CHECKS.items()
        if name in {judge.__name__ for judge, _ in found} and sync_type in {None, each}
    )
    audits = last_audits(deployment.engine, run_id, sync_type)
    judged = CheckInput(
        deployment.engine,
        Rules(EnrichmentPolicy(), DeletionPolicy()),
        deployment.clinics["alder"],
        window,
        audits[-1] if audits else None,
        bool(audits),
    )
    (found,) = (each for each, _ in judges if each.__name__ == name)
    return list(found(judged))


@pytest.fixture
def run_id(deployment: DagsterDeployment) -> str:
    """A run that synced a few days of alder, one appointment having a consultation."""
    deployment.book("alder", WINDOW)
    deployment.vendors["alder"].record_appointment(appointment(-2))
    outcome = deployment.sync("full_sync", ["alder"], WINDOW)
    assert outcome.success
    return outcome.run_id


def appointment(day: int) -> str:
    return f"alder-{days(day, day).start}"


def test_a_sound_store_gives_no_check_a_reason(deployment: DagsterDeployment, run_id: str) -> None:
    names = [judge.__name__ for judges in CHECKS.values() for judge, _ in judges]
    assert {name: judge(deployment, name, run_id) for name in names} == {name: [] for name in names}


def test_a_case_that_vanished_would_be_written_again(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("DELETE FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = judge(deployment, "appointments_idempotent", run_id)
    assert finding.items == [appointment(-1)]


def test_a_landed_record_that_was_edited_would_be_written_again(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        'UPDATE pims_appointments SET payload = payload || \'{"room": "9"}\' WHERE pims_id = :id',
        id=appointment(-3),
    )
    (finding,) = judge(deployment, "appointments_idempotent", run_id)
    assert finding.items == [appointment(-3)]


def test_a_window_without_a_whole_calendar_is_not_complete(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("UPDATE case_sync_audits SET status = 'failed' WHERE sync_type = 'inbound'")
    (finding,) = judge(deployment, "snapshot_complete", run_id)
    assert not finding.is_warning


def test_a_status_without_a_meaning_is_named(deployment: DagsterDeployment) -> None:
    deployment.book("alder", WINDOW)
    deployment.vendors["alder"].set_status(appointment(0), "Gone fishing")
    outcome = deployment.sync("inbound_sync", ["alder"], WINDOW)
    assert outcome.success
    (finding,) = judge(deployment, "known_statuses", outcome.run_id)
    assert finding.items == ["Gone fishing"]
    evaluation = deployment.check(outcome.run_id, "appointments", "known_statuses")
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN


def test_a_field_that_was_left_out_is_named_with_its_type_and_never_its_value(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE case_sync_audits SET oddities = "
        """'[{"path": "listing.provider", "type": "array", "count": 3}]' """
        "WHERE sync_type = 'inbound'"
    )
    (finding,) = judge(deployment, "readable_fields", run_id)
    assert finding.items == ["listing.provider (array): 3"]
    assert finding.is_warning


def test_an_appointment_that_was_never_asked_about_is_still_due(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE pims_appointments SET consultation_checked_at = NULL WHERE pims_id = :id",
        id=appointment(-1),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = judge(deployment, "consultations_idempotent", run_id)
    assert finding.items == [case.id]


def test_a_case_with_another_patient_s_consultation_is_named_by_partition_and_put_right(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{consultation,patient,id}', "
        "'\"another\"') WHERE pims_id = :id",
        id=appointment(-2),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-2))
    (finding,) = judge(deployment, "patients_match", run_id)
    assert finding.items == [f"alder|{days(-2, -2).start} {case.id}"]
    assert finding.is_warning
    (again,) = judge(deployment, "appointments_idempotent", run_id)
    assert again.items == [appointment(-2)]
    assert judge(deployment, "patients_match", run_id, days(-1, 0)) == []
    outcome = deployment.sync("full_sync", ["alder"], WINDOW)
    assert outcome.success
    assert judge(deployment, "patients_match", outcome.run_id) == []


def test_metadata_that_was_written_over_is_reported_before_and_by_the_run_that_repairs_it(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("UPDATE cases SET metadata = '\"x\"' WHERE pims_id = :id", id=appointment(-1))
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    wanted = [f"alder|{days(-1, -1).start} {case.id}"]
    (before,) = judge(deployment, "metadata_readable", run_id)
    outcome = deployment.sync("inbound_sync", ["alder"], WINDOW)
    assert outcome.success
    (repaired,) = judge(deployment, "metadata_readable", outcome.run_id)
    assert before.items == repaired.items == wanted
    outcome = deployment.sync("inbound_sync", ["alder"], WINDOW)
    assert judge(deployment, "metadata_readable", outcome.run_id) == []


def test_what_a_sync_of_consultations_alone_puts_right_is_reported_by_it(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run("UPDATE cases SET metadata = '\"x\"' WHERE pims_id = :id", id=appointment(-1))
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{consultation,patient,id}', "
        "'\"another\"') WHERE pims_id = :id",
        id=appointment(-2),
    )
    outcome = deployment.sync("case_sync", ["alder"], WINDOW)
    assert outcome.success
    assert outcome.run_id != run_id
    for name, offset in (("metadata_readable", -1), ("patients_match", -2)):
        (case,) = deployment.rows(
            "SELECT id FROM cases WHERE pims_id = :id", id=appointment(offset)
        )
        (finding,) = judge(deployment, name, outcome.run_id, sync_type=Phase.CASES)
        assert finding.items == [f"alder|{days(offset, offset).start} {case.id}"]
        assert finding.is_warning
    outcome = deployment.sync("case_sync", ["alder"], WINDOW)
    for name in ("metadata_readable", "patients_match"):
        assert judge(deployment, name, outcome.run_id, sync_type=Phase.CASES) == []


def test_vitals_that_no_patient_has_are_named(deployment: DagsterDeployment, run_id: str) -> None:
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{consultation,vitals}', "
        '\'{"implausible": ["weight_kg"]}\') WHERE pims_id = :id',
        id=appointment(-2),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-2))
    (finding,) = judge(deployment, "vitals_plausible", run_id)
    assert finding.items == [case.id]
    assert finding.is_warning


def test_one_record_that_cannot_be_fetched_only_warns(deployment: DagsterDeployment) -> None:
    deployment.book("alder", WINDOW)
    for day in (-3, -2):
        deployment.vendors["alder"].record_appointment(appointment(day))
    deployment.vendors["alder"].broken_consultations[f"k-{appointment(-2)}"] = TransientError("503")
    outcome = deployment.sync("full_sync", ["alder"], WINDOW)
    assert outcome.success
    (finding,) = judge(deployment, "enrichment_errors", outcome.run_id)
    assert finding.is_warning


def test_many_records_that_cannot_be_fetched_fail_the_run(deployment: DagsterDeployment) -> None:
    window = days(-6, 0)
    deployment.book("alder", window)
    for day in range(-6, 0):
        deployment.vendors["alder"].record_appointment(appointment(day))
    for day in range(-5, 0):
        deployment.vendors["alder"].broken_consultations[f"k-{appointment(day)}"] = TransientError(
            "503"
        )
    outcome = deployment.sync("full_sync", ["alder"], window)
    assert not outcome.success
    evaluation = deployment.check(outcome.run_id, "consultations", "enrichment_errors")
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    # The partitions are done all the same: what could be had is on its cases.
    assert deployment.materialized("consultations") == keys(["alder"], window)
    assert deployment.materialized("reconciliation") == keys(["alder"], window)


def test_a_case_whose_appointment_is_known_to_be_gone_would_still_be_retired(
    deployment: DagsterDeployment, run_id: str
) -> None:
    deployment.run(
        "UPDATE pims_appointments SET removed_at = now() WHERE pims_id = :id", id=appointment(-1)
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = judge(deployment, "reconciliation_idempotent", run_id)
    assert finding.items == [case.id]


def test_a_live_case_that_was_retired_is_named(deployment: DagsterDeployment, run_id: str) -> None:
    deployment.run(
        "UPDATE cases SET metadata = jsonb_set(metadata, '{reconciliation}', "
        "'{\"softDeleted\": true}') WHERE pims_id = :id",
        id=appointment(-1),
    )
    (case,) = deployment.rows("SELECT id FROM cases WHERE pims_id = :id", id=appointment(-1))
    (finding,) = judge(deployment, "no_live_case_deleted", run_id)
    assert finding.items == [case.id]


def test_held_deletions_fail_the_run_but_not_its_other_clinics(
    deployment: DagsterDeployment,
) -> None:
    for slug in SLUGS:
        deployment.book(slug, WINDOW)
    assert deployment.sync("full_sync", SLUGS, WINDOW).success
    for each in list(deployment.vendors["alder"].appointments):
        deployment.vendors["alder"].delete(each)
    outcome = deployment.sync("full_sync", SLUGS, WINDOW)
    assert not outcome.success
    evaluation = deployment.check(outcome.run_id, "reconciliation", "deletion_guard")
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    shown = evaluation.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["clinic"] for record in shown.records] == ["alder"]
    assert deployment.failed("reconciliation") == set()
    told = deployment.metadata("reconciliation", f"alder|{WINDOW.start}")
    (hold,) = deployment.rows("SELECT id FROM reconciliation_holds")
    assert told["hold_id"] == str(hold.id)


def test_what_fails_a_check_of_appointments_stops_that_clinic_alone(
    deployment: DagsterDeployment,
) -> None:
    for slug in SLUGS:
        deployment.book(slug, WINDOW)
    # Whatever is landed for birch is spoilt on its way into the table.
    deployment.run(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.digest := 'spoilt'; RETURN NEW; END $$"
    )
    deployment.run(
        "CREATE TRIGGER spoil BEFORE INSERT ON pims_appointments FOR EACH ROW "
        f"WHEN (NEW.clinic_id = '{deployment.clinics['birch'].id}') EXECUTE FUNCTION spoil()"
    )
    outcome = deployment.sync("full_sync", SLUGS, WINDOW)
    assert not outcome.success
    evaluation = deployment.check(outcome.run_id, "appointments", "appointments_idempotent")
    shown = evaluation.metadata["findings"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["clinic"] for record in shown.records] == ["birch"]
    for asset in ("consultations", "reconciliation"):
        assert deployment.materialized(asset) == keys(["alder", "cedar"], WINDOW)
        assert deployment.failed(asset) == keys(["birch"], WINDOW)
    birch = deployment.clinics["birch"].id
    assert [a.sync_type for a in outcome.audits if a.clinic_id == birch] == [Phase.INBOUND]


def test_blocking_is_what_does_not_merely_warn() -> None:
    warnings = {
        checks.known_statuses,
        checks.metadata_readable,
        checks.patients_match,
        checks.vitals_plausible,
        checks.readable_fields,
        checks.moments_in_the_future,
    }
    judges = [each for found in CHECKS.values() for each in found]
    assert {judge for judge, blocking in judges if not blocking} == warnings
