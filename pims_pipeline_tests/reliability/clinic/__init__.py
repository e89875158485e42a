"""The parts of ``SyncedClinic``: its servers and rows, its vendor, its operators, its syncs."""
