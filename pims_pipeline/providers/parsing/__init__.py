"""Reading what vendors send, as far as vendors share it: values, text, markup, measurements."""
