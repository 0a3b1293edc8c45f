//! Tokens: access tokens, refresh families and their revocation.
