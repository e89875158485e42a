"""The conformance kit: one suite of tests that every provider passes, also those of other packages.

``vendor`` is what a provider's package writes, ``promises`` is the suite, ``plugin`` runs it under
pytest, ``check`` runs it for ``pims providers check``. The vendors of the built-in providers are in
``vendors``. Tests of one adapter's own parsing belong with that adapter.
"""
