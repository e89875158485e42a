"""What a vendor says about a clinic, compared with the clinic as it is registered here.

What a description holds belongs in ``domain/records/profiles.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine

from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.domain.records.clinic_words import own_words
from pims_pipeline.domain.records.profiles import (
    ClinicProfile,
    ZoneMatch,
    compared_zone,
    guessed_words,
)
from pims_pipeline.domain.records.shapes import named
from pims_pipeline.domain.records.word_uses import WordUse
from pims_pipeline.providers.port import DescribesClinic, PimsError, PimsProvider
from pims_pipeline.providers.registry import vendor_words
from pims_pipeline.store.cases.clinic_words import word_log
from pims_pipeline.store.database.clock import utc_now
from pims_pipeline.store.database.engine import transaction
from pims_pipeline.store.database.locks import lock_clinic
from pims_pipeline.store.shapes.writing import add_shapes
from pims_pipeline.sync.session import ProviderSession


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedClinic:
    """A clinic and what its vendor says about it.

    Attributes:
        profile: Without anything where the adapter or the vendor does not describe clinics.
        zone: How the vendor's zone compares with ours.
        guesses: Words of the vendor's dictionary of which no list says what they mean.
        failure: Why the vendor could not be asked; None if it was, or if it cannot be.
    """

    clinic: Clinic
    profile: ClinicProfile
    zone: ZoneMatch
    guesses: Sequence[WordUse]
    failure: PimsError | None = None


def described(engine: Engine, clinic: Clinic, session: ProviderSession) -> DescribedClinic:
    """The clinic as the vendor describes it within the session of a login.

    The shapes of what it sends are kept. A vendor that refuses is no failed login: the account may
    see the calendar alone.
    """

    def profile_of(provider: PimsProvider) -> ClinicProfile:
        return (
            provider.clinic_profile() if isinstance(provider, DescribesClinic) else ClinicProfile()
        )

    failure: PimsError | None = None
    try:
        profile = session.request_once(profile_of)
    except PimsError as error:
        profile, failure = ClinicProfile(), error
    with transaction(engine) as connection:
        if profile.shapes:
            lock_clinic(connection, clinic.id)
            add_shapes(connection, clinic, named(profile.shapes), utc_now())
        own = own_words(each.change for each in word_log(connection, clinic))
    return DescribedClinic(
        clinic=clinic,
        profile=profile,
        zone=compared_zone(profile.zone, clinic.zone, datetime.now(UTC)),
        guesses=guessed_words(profile, vendor_words(clinic.provider_type), own),
        failure=failure,
    )
