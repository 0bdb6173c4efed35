//! Two emulated Doris clusters, the syncer and TPC-H data: replication to watch, with a proof at the end.
//!
//! The clusters run in this process (the `minidoris` library), the syncer in a child process: this binary
//! again, with a hidden subcommand. The demo talks to them over their ports only, as any client would.

mod compare;
mod demo;
mod options;
mod progress;
mod report;
mod site;
mod syncer;
mod tpch;
mod workload;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;

use crate::demo::{DATABASE, JOB, Outcome};
use crate::options::{Options, Role};
use crate::progress::Progress;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Role::Syncer { flags }) = options.role {
        return run_syncer(flags);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into(), None),
    };
    let files = match Files::new(&options) {
        Ok(files) => files,
        Err(error) => return complain(&error, None),
    };
    let outcome = runtime.block_on(present(&options, &files));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => complain(&anyhow::anyhow!("the two sides differ"), Some(files)),
        Err(error) => complain(&error, Some(files)),
    }
}

/// The hidden role: serves as `ccr_syncer` until the demo's process is gone.
fn run_syncer(flags: Vec<String>) -> ExitCode {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    ccr_syncer::cli::main(flags)
}

/// Runs the demo and prints what it found; `false` when the sides differ.
async fn present(options: &Options, files: &Files) -> Result<bool> {
    let progress = Progress::new(options.no_progress);
    let outcome = tokio::select! {
        outcome = demo::run(options, &progress, &files.dir) => outcome?,
        signal = stop_signal() => anyhow::bail!("stopped by {}", signal?),
    };
    let equal = outcome.is_equal();
    let mut out = std::io::stdout();
    writeln!(out, "{}", outcome.facts.render(&outcome.tables, &outcome.queries))?;
    if equal {
        writeln!(out, "EQUAL: every row of {} tables", outcome.tables.len())?;
    }
    if options.keep {
        writeln!(out, "{}", addresses(&outcome))?;
        stop_signal().await?;
    }
    let Outcome { upstream, downstream, syncer, .. } = outcome;
    syncer.stop().await?;
    upstream.stop().await;
    downstream.stop().await;
    Ok(equal)
}

/// How to reach what `--keep` leaves running.
fn addresses(outcome: &Outcome) -> String {
    let (up, down, api) = (outcome.upstream.ports, outcome.downstream.ports, outcome.syncer.port);
    format!(
        "\nupstream:    mysql -h127.0.0.1 -P{} -uroot {DATABASE}\n\
         downstream:  mysql -h127.0.0.1 -P{} -uroot {DATABASE}\n\
         syncer:      curl -X POST -d '{{\"name\":\"{JOB}\"}}' http://127.0.0.1:{api}/job_status\n\
         \x20            curl -X POST -d '{{\"name\":\"{JOB}\"}}' http://127.0.0.1:{api}/get_lag\n\
         \x20            curl http://127.0.0.1:{api}/metrics\n\
         log:         {}\n\nCtrl-C ends them.",
        up.query,
        down.query,
        outcome.syncer.log.display()
    )
}

/// Where logs and the syncer's metadata lie. A temporary directory is removed on success.
#[derive(Debug)]
struct Files {
    dir: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl Files {
    fn new(options: &Options) -> Result<Self> {
        let temporary = tempfile::Builder::new().prefix("ccr-demo-").tempdir()?;
        let files = match &options.log_dir {
            Some(dir) => {
                std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
                // Each run has a directory of its own, so an older metadata file is never met.
                let run = temporary.path().file_name().context("a temporary directory has a name")?;
                let dir = dir.join(run);
                std::fs::create_dir(&dir).with_context(|| format!("create {}", dir.display()))?;
                Self { dir, temporary: None }
            }
            None => Self { dir: temporary.path().to_owned(), temporary: Some(temporary) },
        };
        let log = File::create(files.dir.join("minidoris.log"))?;
        tracing_subscriber::fmt()
            .with_writer(Arc::new(log))
            .with_ansi(false)
            .with_env_filter(tracing_subscriber::EnvFilter::new("info"))
            .init();
        Ok(files)
    }
}

/// Prints what went wrong and where the logs are, which are kept.
fn complain(error: &anyhow::Error, files: Option<Files>) -> ExitCode {
    let mut out = std::io::stderr();
    let _ = writeln!(out, "ccr-demo: {error:#}");
    if let Some(files) = files {
        if let Some(temporary) = files.temporary {
            let _ = temporary.keep();
        }
        let _ = writeln!(out, "logs: {}", files.dir.display());
    }
    ExitCode::FAILURE
}

/// Waits for Ctrl-C or a request to terminate.
async fn stop_signal() -> Result<&'static str> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt.map(|()| "SIGINT").map_err(Into::into),
            _ = terminate.recv() => Ok("SIGTERM"),
        }
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await?;
        Ok("Ctrl-C")
    }
}
