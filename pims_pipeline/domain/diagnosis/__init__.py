"""What the checks of ``pims doctor`` find."""
