"""Klaviyo's REST API: the only package that talks to the network."""
