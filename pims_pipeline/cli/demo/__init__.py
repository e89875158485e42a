"""``pims demo``: play a day at three simulated clinics, and show how their cases follow it."""
