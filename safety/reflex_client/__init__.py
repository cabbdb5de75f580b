"""The client of the Reflex Layer."""
