"""Tests of the login at IDEXX Neo, most of them in a real browser."""
