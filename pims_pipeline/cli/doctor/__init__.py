"""``pims doctor``: the command, and what it makes of the settings for the checks."""
