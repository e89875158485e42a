"""``pims up``: all processes of an installation on this machine, until Ctrl-C."""
