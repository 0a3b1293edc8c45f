//! Both backends against published vectors and against each other.
