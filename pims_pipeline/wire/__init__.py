"""The JSON that the API and the commands' ``--json`` share, as pydantic models.

Add the model of a new response here; what it is made from is a dataclass of ``sync`` or ``store``.
Request bodies belong to ``api/bodies.py``, tables and sentences for people to ``cli``.
"""
