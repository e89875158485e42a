"""``pims adopt``: adopting clinics of a running v4.0 installation, one module for each command."""
