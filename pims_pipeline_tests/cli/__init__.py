"""The ``pims`` commands, run as a person would, on a real database and the simulator."""
