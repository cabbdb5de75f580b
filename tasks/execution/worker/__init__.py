"""The process that carries tasks out: its threads, jobs and recovery."""
