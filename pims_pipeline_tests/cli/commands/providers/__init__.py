"""``pims providers``."""
