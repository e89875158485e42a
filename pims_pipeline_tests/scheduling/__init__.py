"""Tests of when clinics are synced."""
