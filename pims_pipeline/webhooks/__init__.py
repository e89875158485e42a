"""Delivering changes of cases to webhooks.

What a message says and how it is signed is in ``messages``, the request in ``sending``, the work
through the outbox in ``delivery``, what operators do in ``management``. The rows belong in
``pims_pipeline.store.webhooks``, retries and addresses in ``pims_pipeline.domain.webhooks``.
"""
