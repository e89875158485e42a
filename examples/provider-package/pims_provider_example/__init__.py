"""Paw Planner as a provider of pims-pipeline."""
