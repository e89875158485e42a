"""HTTP that every vendor's adapter shares: requests with limits, and a limit on their rate."""
