"""Syncs under faults: kills, lost connections, full pools, odd settings, wrong clocks."""
