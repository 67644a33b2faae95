"""A negotiation on the bus: opened, positions gathered, solved, put before people if policy asks, and closed."""
