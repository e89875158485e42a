"""The sensors: clinics' partitions, scheduled syncs, freshness, alerts."""
