"""Keeps veterinary clinics' case data in step with their practice management systems."""
