"""Any vendor that the simulator plays: one of its clinics, its people's edits, and its resets.

What differs from vendor to vendor (logins, kinds of requests, fields) belongs in its own module.
"""

from contextlib import ExitStack, closing
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pims_pipeline.conformance.http.vendor import HttpVendor
from pims_pipeline.domain.clinics import Clinic
from pims_pipeline.simulator.control_client import SimulatorControl
from pims_pipeline.simulator.practice.clinics import SimulatedClinic, SimulatorConfig
from pims_pipeline.simulator.server import running_simulator


class SimulatedVendor(HttpVendor):
    """One clinic of the simulator.

    Attributes:
        simulated: The clinic that the simulator plays.
    """

    simulated: ClassVar[SimulatedClinic]

    def start_server(self) -> str:
        """See ``HttpVendor``."""
        self._running = ExitStack()
        config = SimulatorConfig(clinics=(self.simulated,), appointments_per_day=3, today=self.day)
        server = self._running.enter_context(running_simulator(config))
        self.control = self._running.enter_context(closing(SimulatorControl(server.base_url)))
        return server.base_url

    def stop_server(self) -> None:
        """See ``HttpVendor``."""
        self._running.close()

    def reset(self) -> None:
        """See ``PlayedVendor``."""
        super().reset()
        self.control.reset()

    @property
    def clinic(self) -> Clinic:
        """See ``PlayedVendor``."""
        return Clinic(
            id=UUID(int=1),
            slug="conformance",
            name=self.simulated.name,
            timezone=self.simulated.timezone,
            provider_type=self.description.type,
            provider_base_url=self.base_url,
            is_active=True,
        )

    @property
    def account(self) -> str:
        """The simulator's name of the clinic."""
        return self.simulated.company_id

    def book(self, start: datetime) -> str:
        """See ``PlayedVendor``."""
        return self.control.book(self.account, start).id

    def move(self, appointment_id: str, start: datetime) -> None:
        """See ``PlayedVendor``."""
        self.control.move(self.account, appointment_id, start)

    def cancel(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        self.control.cancel(self.account, appointment_id)

    def delete(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        self.control.delete(self.account, appointment_id)

    def restore(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        self.control.restore(self.account, appointment_id)

    def block(self, start: datetime) -> str:
        """See ``PlayedVendor``. The simulator has a lunch break on each day."""
        records = self.control.appointments(self.account, self.day, self.day)
        identity = next(each.id for each in records if each.kind == "block")
        self.control.move(self.account, identity, start)
        return identity

    def finish(self, appointment_id: str, notes: str) -> None:
        """See ``PlayedVendor``."""
        self.control.finish(self.account, appointment_id, f"<p>{notes}</p>")

    def open_consultation(self, appointment_id: str) -> None:
        """See ``PlayedVendor``."""
        self.control.set_status(self.account, appointment_id, "In Progress")

    def correct_consultation(self, appointment_id: str, notes: str) -> None:
        """See ``PlayedVendor``."""
        self.control.write_notes(self.account, appointment_id, f"<p>{notes}</p>")

    def swap_consultation(self, appointment_id: str) -> None:
        """See ``PlayedVendor``: the appointment becomes another patient's."""
        self.control.rebook(
            self.account, appointment_id, patient_name="Another", consultation="same"
        )
