"""The made-up practice: its clinics, calendar and consultations, whatever vendor shows them."""
