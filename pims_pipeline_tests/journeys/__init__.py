"""What people do with the whole system at hand: processes, pages, a real browser."""
