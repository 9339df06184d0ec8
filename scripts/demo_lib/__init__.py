"""What scripts/demo-sentinel and scripts/demo-cluster are made of."""
