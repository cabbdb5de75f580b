"""Django's PostgreSQL backend with bounded waiting, and the address it connects to."""
