"""What a container overlay costs against the bare network, and why."""

__version__ = "0.1.0"
