"""The API's routes, one module per resource.

Rules live in the rooms below, shapes in ``wire``.
"""
