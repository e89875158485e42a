"""``pims providers``: the vendors, and what they were seen to send."""
