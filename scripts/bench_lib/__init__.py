"""The parts of scripts/bench: servers, the three sections (cpu, memory, waits) and the report."""
