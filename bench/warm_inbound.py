"""Inbound of 14 days × 40 appointments for one clinic, with a stored session.

Target: fetch, plan and apply within 1 s, no browser launched, one listing request.
Run with ``python bench/warm_inbound.py``.
"""

from datetime import timedelta
from time import perf_counter

from support.measured_clinic import measured_clinic

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.session import clinic_session


def main() -> None:
    """Measure and print."""
    with measured_clinic(appointments_per_day=40, requests_per_second=10) as measured:
        context, clinic = measured.context, measured.clinic
        one_day = DateRange(measured.today, measured.today)
        with clinic_session(context, clinic) as session:
            sync_appointments(context, clinic, one_day, session)
        window = DateRange(measured.today - timedelta(days=13), measured.today)
        for label in ("mostly new", "unchanged"):
            browsers = measured.browser_launches
            requests = measured.control.stats().requests["listing"]
            began = perf_counter()
            with clinic_session(context, clinic) as session:
                outcome = sync_appointments(context, clinic, window, session)
            seconds = perf_counter() - began
            print(
                f"{label}: {seconds:.3f} s, {outcome.counts.nonzero()}, "
                f"{measured.browser_launches - browsers} browsers, "
                f"{measured.control.stats().requests['listing'] - requests} listing requests"
            )


if __name__ == "__main__":
    main()
