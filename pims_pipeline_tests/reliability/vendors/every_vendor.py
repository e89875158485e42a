"""The vendors that these tests play."""

from collections.abc import Mapping

from pims_pipeline.simulator.practice.clinics import SimulatedClinic, Vendor
from pims_pipeline_tests.reliability.vendors.at_vendor import AtVendor
from pims_pipeline_tests.reliability.vendors.idexx_neo import AtIdexxNeo
from pims_pipeline_tests.reliability.vendors.vetspire import AtVetspire

EVERY_VENDOR: Mapping[Vendor, AtVendor] = {each.name: each for each in (AtIdexxNeo(), AtVetspire())}
EVERY_CLINIC: tuple[SimulatedClinic, ...] = tuple(
    clinic for vendor in EVERY_VENDOR.values() for clinic in vendor.clinics
)
