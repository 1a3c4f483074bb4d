"""A run: streams planned as partitions and windows, read by workers, written by one thread."""
