//! The gate: every layer, in the one right order.
