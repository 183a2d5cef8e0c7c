//! Layer 3: graphs of processes.
