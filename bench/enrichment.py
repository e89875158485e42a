"""Enrichment of 200 appointments with 5 workers, at a vendor that responds after 200 ms.

Ideal: 200 × 0.2 s / 5 = 8 s. The limit of requests per second is higher than that needs.
Run with ``python bench/enrichment.py``.
"""

from datetime import timedelta
from time import perf_counter

from support.measured_clinic import COMPANY, measured_clinic

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.session import clinic_session

LATENCY_S = 0.2
WORKERS = 5
APPOINTMENTS = 200


def main() -> None:
    """Measure and print."""
    with measured_clinic(appointments_per_day=40, requests_per_second=1000) as measured:
        context, clinic = measured.context, measured.clinic
        start = measured.today
        for days in range(5, 31):  # until 200 appointments have a consultation to fetch
            start = measured.today - timedelta(days=days)
            truth = measured.control.appointments(COMPANY, start, measured.today - timedelta(1))
            if sum(each.consultation_id is not None for each in truth) >= APPOINTMENTS:
                break
        window = DateRange(start, measured.today - timedelta(days=1))
        with clinic_session(context, clinic) as session:
            sync_appointments(context, clinic, window, session)
        measured.control.add_fault(
            "latency", endpoint="consultation", seconds=LATENCY_S, times=None
        )
        before = measured.control.stats().requests["consultation"]
        began = perf_counter()
        with clinic_session(context, clinic) as session:
            outcome = enrich_cases(context, clinic, window, session, workers=WORKERS)
        seconds = perf_counter() - began
        fetched = measured.control.stats().requests["consultation"] - before
        ideal = fetched * LATENCY_S / WORKERS
        print(
            f"{fetched} consultations over HTTP in {seconds:.2f} s; ideal {ideal:.2f} s; "
            f"{seconds / ideal:.3f} × ideal; {outcome.counts.nonzero()}"
        )


if __name__ == "__main__":
    main()
