"""From the bytes of a response of IDEXX Neo to values of the domain. No I/O."""
