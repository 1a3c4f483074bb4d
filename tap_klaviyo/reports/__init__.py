"""Klaviyo's reports: options in, requests and rows out."""
