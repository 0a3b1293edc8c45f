//! Stores that fail on demand.
