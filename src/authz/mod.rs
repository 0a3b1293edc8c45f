//! The authorization model: permissions, roles, policies and the access map.
