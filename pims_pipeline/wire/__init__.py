"""The JSON that the API and the commands' ``--json`` share, as pydantic models.

Add the model of a new response here, built from a dataclass of ``sync`` or ``store``. Request
bodies belong in ``api.bodies``, text for operators in ``cli``.
"""
