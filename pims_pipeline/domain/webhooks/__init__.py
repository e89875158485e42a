"""Webhooks: when a delivery is tried again (``retries``), and where they may be (``receivers``).

Pure. What a message says and how it is sent belongs in ``pims_pipeline.webhooks``, the rows in
``pims_pipeline.store.webhooks``.
"""
