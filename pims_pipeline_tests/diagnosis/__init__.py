"""The checks of ``pims doctor``, each against a real or a stalling peer."""
