"""``pims demo``: a day at three made-up clinics, and how their cases follow it."""
