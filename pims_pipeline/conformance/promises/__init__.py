"""The suite: what every provider promises, by area. A test's name is the promise."""
