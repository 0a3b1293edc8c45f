//! One named test for each known class of attack.

mod administration;
mod bodies;
mod cors;
mod csrf;
mod enumeration;
mod firewall;
mod forged;
mod hang_up;
mod jwt;
mod layers;
mod origins;
mod outage;
mod passwords;
mod patterns;
mod raw_http;
mod refresh;
mod revocation;
mod routing;
mod tenants;
mod unmapped;

pub use layers::Log;
