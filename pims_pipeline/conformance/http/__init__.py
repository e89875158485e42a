"""For vendors that are reached over HTTP: a proxy that plays the network's and servers' faults."""
