"""Tests of the HTTP that every vendor's adapter shares."""
