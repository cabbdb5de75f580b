"""What the console shows of workers and runs, and the switch that pauses all calls."""
