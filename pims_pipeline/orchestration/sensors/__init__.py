"""The sensors: partitions, scheduled runs, alerts."""
