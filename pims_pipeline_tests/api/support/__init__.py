"""What the tests of the API share: fake Dagsters, clinics, clients, clocks and keys."""
