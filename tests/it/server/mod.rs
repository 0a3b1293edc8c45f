//! The reference server as a process of its own, over HTTP.
#![cfg(unix)]

mod access_map;
mod accounts;
mod administration;
mod client;
mod crash;
mod edge;
mod enumeration;
mod escalation;
mod flows;
mod keys;
mod load;
mod ownership;
mod process;
mod roles_file;
mod routing;
mod secrecy;
mod slow;
mod startup;
mod wrong_input;

use client::Api;
use process::Server;

const ADMIN: &str = "root";
/// Good for the composition preset too.
const ADMIN_PASSWORD: &str = "an administrator's 1st Password";
const PASSWORD: &str = "correct horse battery staple";
