//! The replication engine: job model, state machine, planner, pipeline, effects.
//!
//! It opens no connection, speaks no HTTP and reads no wall clock: clusters, store and time are ports
//! ([`ports`], [`store`]). The core decides ([`job::transition`], [`plan`]) without I/O; the shell
//! ([`runner`], [`effect`]) carries out, persists, and starts again from what it persisted.
//!
//! A reader's path: [`job`] (what is stored and how it moves), [`change`] and [`plan`] (what a binlog
//! requires), [`runner`] (the loop), [`effect`] (one file per thing done to a cluster), [`control`] (what an
//! operator may ask), [`proof`] (whether a lag of zero is one), [`turns`] (jobs that share an upstream database),
//! `answers` and [`error`] (what Doris says, and what is done about it), [`failpoint`] (where tests may let the
//! process die).

mod answers;
pub mod change;
pub mod control;
mod effect;
pub mod error;
pub mod failpoint;
pub mod job;
pub mod observer;
pub mod plan;
pub mod ports;
pub mod proof;
pub mod route;
pub mod runner;
pub mod status;
pub mod store;
pub mod turns;
