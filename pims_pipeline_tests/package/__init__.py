"""Tests of what is installed and operated: the wheel, its extras, a backup, an upgrade."""
