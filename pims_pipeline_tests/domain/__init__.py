"""Tests of the pure rules, and the strategies and the in-memory store they are tried on."""
