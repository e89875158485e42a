"""The ``pims`` command: ``commands`` for the nouns, ``demo`` and ``up``, and the ``terminal``."""
