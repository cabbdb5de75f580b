"""Django's PostgreSQL backend with bounded waiting, the database URL, and privileges."""
