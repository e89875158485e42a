"""Tests of comparing an adopted clinic with its v4.0 installation."""
