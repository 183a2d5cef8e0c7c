//! A ring buffer.
