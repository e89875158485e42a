"""The login at IDEXX Neo in a real browser: what it fills in, reads, and concludes."""
