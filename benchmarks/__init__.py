"""What the tap costs and how fast it is, beside others on the same account: `make bench`.

A *take* is one program on one account under some conditions; a *scenario* is a few takes that are
run in turn, several times over, and what they are held against. Every number is of a whole process
and comes from the operating system. Every run is checked: the ids it wrote are those that the
account holds.
"""
