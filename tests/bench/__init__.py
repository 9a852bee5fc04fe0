"""Measurements quoted in docs/, run by `make bench`."""
