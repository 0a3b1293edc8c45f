//! What the layers share on the wire.
