"""Documents about providers: vendors, and what they were seen to send."""
