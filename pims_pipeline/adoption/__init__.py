"""Adopting a running v4.0 installation: inspecting it, importing its clinics, and their modes."""
