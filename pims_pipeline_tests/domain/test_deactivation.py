"""A deactivated clinic can be read, and is used for nothing else."""

from uuid import UUID

import pytest

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.deactivation import ClinicDeactivated, ClinicUse, check_use, may_use


def clinic(*, is_active: bool) -> Clinic:
    return Clinic(
        id=UUID(int=1),
        slug="oak",
        name="Oak",
        timezone="UTC",
        provider_type="idexx_neo",
        provider_base_url="https://pims.example",
        is_active=is_active,
    )


def test_an_active_clinic_is_used_for_everything() -> None:
    for use in ClinicUse:
        assert may_use(use, clinic_is_active=True)
        check_use(clinic(is_active=True), use)


def test_a_deactivated_clinic_is_still_read() -> None:
    check_use(clinic(is_active=False), ClinicUse.READ)


@pytest.mark.parametrize("use", [use for use in ClinicUse if use is not ClinicUse.READ])
def test_a_deactivated_clinic_is_used_for_nothing_else(use: ClinicUse) -> None:
    assert not may_use(use, clinic_is_active=False)
    with pytest.raises(ClinicDeactivated, match=r"clinic 'oak' was deactivated; \w+"):
        check_use(clinic(is_active=False), use)
