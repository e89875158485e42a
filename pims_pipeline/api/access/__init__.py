"""Authentication, rate limits, and the host names and origins that the API accepts."""
