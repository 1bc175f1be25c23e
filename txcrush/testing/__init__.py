"""Fakes that behave, for our tests and for those of people who extend txcrush."""
