"""The checks of ``pims doctor``: each looks at one part of the installation."""
