//! `ccr_syncer`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ccr_syncer::cli::main(std::env::args().skip(1))
}
