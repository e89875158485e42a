"""``pims keys``: the keys to the REST API."""
