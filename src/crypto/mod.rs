//! Keys, signatures and sealing.
