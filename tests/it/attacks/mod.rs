//! One named test for each known class of attack.

mod passwords;
