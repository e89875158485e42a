"""Tests of the simulated vendor: its data, its sessions, its faults, its pages."""
