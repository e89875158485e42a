"""The records: appointments and consultations of a vendor, and cases. Pure values."""
