"""One table of phases: every place that names them has each of them."""
