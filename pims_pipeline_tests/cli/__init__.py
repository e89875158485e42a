"""The ``pims`` commands, run on a real database and the simulator."""
