"""Services: Deferreds and a clock, no network, no storage, no bytes."""
