"""What a seeded account is made of: metrics, people, mailings, and the story of its events.

Every maker draws from a random generator of its own, so that a change to one leaves the data of
the others as it was.
"""
