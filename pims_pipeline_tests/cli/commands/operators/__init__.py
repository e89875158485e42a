"""``pims operators``."""
