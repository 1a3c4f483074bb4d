"""A Singer tap that reads a Klaviyo account through its REST API."""

__version__ = "1.0.0"
