"""What a database server is like: facts for the checks of ``pims doctor``. Changes nothing."""
