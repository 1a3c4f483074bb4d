"""Benchmarks of the tap and of other programs on the same account: `make bench`.

A *case* is one program on one account under given conditions. A *scenario* is a list of cases that
run alternately for several rounds, and the goals for the results. Every number covers a whole
process and is measured by the operating system. After each run the written ids are compared with
those of the account.
"""
