"""When clinics are synced: what a schedule means, what is due, what is late. Pure."""
