"""Webhooks and their outbox: rows, claims and secrets.

Registered webhooks are in ``endpoints``, their signing secrets in ``signing_secrets``, and what is
still to be delivered in ``outbox``. Sending belongs in ``pims_pipeline.webhooks``.
"""
