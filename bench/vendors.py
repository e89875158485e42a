"""A full sync of 14 days for one clinic of each vendor: the first, and two warm ones.

The calendar has 40 appointments a day. Requests are sent at the rate that each adapter has by
itself, which is what most of a first sync waits for. Run with ``python bench/vendors.py``.
"""

from collections import Counter
from datetime import timedelta
from time import perf_counter, process_time
from typing import get_args

from support.measured_clinic import MeasuredClinic, measured_clinic

from pims_pipeline.domain.clinics import DateRange
from pims_pipeline.simulator.practice.clinics import Vendor
from pims_pipeline.sync.phases.enrichment import enrich_cases
from pims_pipeline.sync.phases.inbound import sync_appointments
from pims_pipeline.sync.phases.reconciliation import reconcile_cases
from pims_pipeline.sync.session import clinic_session


def main() -> None:
    """Measure and print."""
    for vendor in get_args(Vendor):
        with measured_clinic(
            appointments_per_day=40, requests_per_second=None, vendor=vendor
        ) as measured:
            for label in ("first", "warm", "warm again"):
                print(f"{vendor}, {label}: {_measured(measured)}")


def _measured(measured: MeasuredClinic) -> str:
    before = Counter(measured.control.stats().requests)
    began, cpu = perf_counter(), process_time()
    _sync(measured)
    seconds, cpu = perf_counter() - began, process_time() - cpu
    sent = Counter(measured.control.stats().requests) - before
    requests = ", ".join(f"{number} {name}" for name, number in sorted(sent.items()))
    return f"{seconds:.2f} s, {cpu:.2f} CPU s, requests: {requests}"


def _sync(measured: MeasuredClinic) -> None:
    context, clinic = measured.context, measured.clinic
    window = DateRange(measured.today - timedelta(days=13), measured.today)
    with clinic_session(context, clinic) as session:
        sync_appointments(context, clinic, window, session)
        enrich_cases(context, clinic, window, session)
        reconcile_cases(context, clinic, window, session)


if __name__ == "__main__":
    main()
