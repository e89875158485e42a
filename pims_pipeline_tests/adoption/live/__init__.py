"""Tests of live clinics: what is written to the application, the switch and back."""
