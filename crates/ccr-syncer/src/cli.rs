//! From the command line to a running process and its exit code.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use tracing::error;

use crate::config::Config;
use crate::flags::{FlagError, Flags};
use crate::logging::{self, LogConfig};
use crate::{daemon, signals};

/// Threads that run tasks. The work is waiting for clusters; more threads would only cost memory.
const MIN_WORKERS: usize = 2;
const MAX_WORKERS: usize = 4;

/// Runs the syncer with the arguments after the program's name, until a signal ends it.
pub fn main<I>(arguments: I) -> ExitCode
where
    I: IntoIterator<Item = String>,
{
    let flags = match Flags::parse_from_args(arguments) {
        Ok(flags) => flags,
        Err(FlagError::Clap(error)) => {
            // Help goes to standard output with code 0, everything else to standard error with code 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(error @ FlagError::ConfigFile(_)) => return fail(&error.to_string(), 2),
    };
    if flags.version {
        let _ = writeln!(std::io::stdout(), "{}", crate::VERSION);
        return ExitCode::SUCCESS;
    }
    let config = match Config::from_flags(&flags) {
        Ok(config) => config,
        Err(error) => return fail(&format!("{error:#}"), 2),
    };
    if let Err(error) = logging::init(&LogConfig::from_flags(&flags)) {
        return fail(&format!("{error:#}"), 1);
    }
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            error!(error = text, "cannot run");
            fail(&text, 1)
        }
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(MIN_WORKERS, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(MIN_WORKERS, MAX_WORKERS))
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        let shutdown = signals::shutdown()?;
        daemon::run(config, shutdown).await
    })
}

fn fail(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "ccr_syncer: {message}");
    ExitCode::from(code)
}
