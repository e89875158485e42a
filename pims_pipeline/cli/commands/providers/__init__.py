"""``pims providers``: the installed providers, one module a command."""
