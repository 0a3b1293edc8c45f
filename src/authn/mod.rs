//! Authentication of requests.
