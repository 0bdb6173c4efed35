//! minidoris from outside: every test starts clusters in its process and talks to them over sockets.

mod clients;
mod harness;
mod nodes;
mod protocol;
mod raw;
