"""What people are alerted to: which alerts are open, what is said of them, and its delivery."""
