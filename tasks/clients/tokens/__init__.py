"""Tokens (JWT, RFC 7519) of an issuer outside: its keys, and what makes a token good."""
