"""Keeps veterinary clinics' case data in step with their practice management systems."""


def __getattr__(name: str) -> object:
    """The component ``PimsSync``, which ``defs.yaml`` files name; loaded when it is used."""
    if name == "PimsSync":
        # It imports Dagster, which takes seconds.
        from pims_pipeline.component import PimsSync  # noqa: PLC0415 - see above

        return PimsSync
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All names of the package; Dagster's list of component types reads them."""
    return [*globals(), "PimsSync"]
