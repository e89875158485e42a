"""A vendor over HTTP: its server behind a proxy, which plays the faults of network and servers."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from pims_pipeline.conformance.conditions import RequestKind, Spoiled, SpoiledField, VendorCondition
from pims_pipeline.conformance.http.json_paths import doubled, put
from pims_pipeline.conformance.http.proxy import PROXY_CONDITIONS, FaultProxy, ProxiedRequest
from pims_pipeline.conformance.vendor import PlayedVendor


class HttpVendor(PlayedVendor):
    """A vendor whose simulator serves HTTP on this machine; ``base_url`` is for the clinic.

    Attributes:
        records_path: Where a listing's JSON has its list of records, such as ``data.appointments``;
            empty if the list is the whole response.
    """

    records_path: ClassVar[str] = ""
    _proxy: FaultProxy

    @abstractmethod
    def start_server(self) -> str:
        """Start the simulator, and return its address: ``http://127.0.0.1:8400``."""

    @abstractmethod
    def stop_server(self) -> None:
        """End the simulator."""

    @staticmethod
    @abstractmethod
    def kind_of(request: ProxiedRequest) -> RequestKind | None:
        """What a request is for; None for one that is none of them, such as a picture."""

    @property
    def base_url(self) -> str:
        """The address of the proxy, which the clinic must have as its own."""
        return self._proxy.base_url

    def start(self) -> None:
        """Start the simulator and the proxy."""
        self._proxy = FaultProxy(self.start_server(), self.kind_of)
        self._proxy.start()

    def stop(self) -> None:
        """End both."""
        self._proxy.stop()
        self.stop_server()

    def reset(self) -> None:
        """Lift all conditions. Extend it to forget bookings and sessions."""
        self.lift()

    def requests(self, kind: RequestKind) -> int:
        """See ``PlayedVendor``."""
        return self._proxy.count(kind)

    def play(self, condition: VendorCondition, kind: RequestKind | None, times: int | None) -> None:
        """See ``PlayedVendor``. Extend it for the conditions that only the simulator can play."""
        if condition in PROXY_CONDITIONS:
            self._proxy.impose(condition, kind, times)
        elif condition is VendorCondition.LISTING_DOUBLED:
            self._proxy.edit(RequestKind.LISTING, self.records_path, doubled)
        else:
            super().play(condition, kind, times)

    def lift(self) -> None:
        """See ``PlayedVendor``."""
        self._proxy.clear()

    def sent_elsewhere(self) -> Sequence[str]:
        """See ``PlayedVendor``."""
        return self._proxy.sent_elsewhere()

    def between_pages(self, action: Callable[[], object]) -> None:
        """See ``PlayedVendor``."""
        self._proxy.after_next(RequestKind.LISTING, action)

    def spoil(self, field: SpoiledField, value: Spoiled) -> None:
        """See ``PlayedVendor``."""
        self._proxy.edit(field.kind, field.path, put(value))

    def was_spoiled(self, field: SpoiledField) -> bool:
        """See ``PlayedVendor``."""
        return self._proxy.has_met(field.path)
