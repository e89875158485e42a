"""The routes, one module per resource.

Rules belong in ``sync`` and ``store``, response models in ``wire``.
"""
