"""The assets: the phases over clinics and business dates, the daily report, maintenance."""
