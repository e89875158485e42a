"""``pims up``: every process of an installation on this machine, until Ctrl-C."""
