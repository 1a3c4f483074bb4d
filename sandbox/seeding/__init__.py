"""Generates the data of a seeded account.

Each function gets its own random generator, so that a change to one of them does not change the
data of the others.
"""
