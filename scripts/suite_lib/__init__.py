"""What scripts/redis-suite is made of."""
