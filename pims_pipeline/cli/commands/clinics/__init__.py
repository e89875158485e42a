"""``pims clinics``: one module for the group, and one for each command with much of its own."""
