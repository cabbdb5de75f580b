"""The console's pages about results that wait for a decision of staff."""
