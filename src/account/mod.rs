//! Accounts: register, sign in, refresh, sign out.
