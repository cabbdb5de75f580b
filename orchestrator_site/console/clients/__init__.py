"""The console's pages of clients, for staff who may manage them."""
