//! Layer 2: the life of a daemon. PID file, registry, health server, and the order in which they start and stop.
