//! Logs in the shape of the original: `[2024-01-31 12:00:00.000]  INFO message key=value job=name
//! line=file:line`. The job comes from the span in which a job runs.
//!
//! Other crates' messages are shown from WARN on, whatever the level: they log every packet and statement
//! below that, and could show what must stay secret.

mod format;
mod rotate;

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::flags::{Flags, LogLevel};
use rotate::RotatingFile;

const OUR_CRATES: [&str; 6] =
    ["ccr_core", "ccr_store", "ccr_syncer", "doris_client", "doris_thrift", "doris_types"];

/// Where logs go and which.
#[derive(Debug, Clone)]
pub struct LogConfig {
    pub level: LogLevel,
    /// Standard output when absent.
    pub file: Option<PathBuf>,
    pub also_to_stderr: bool,
    pub retain_files: u32,
    pub retain_days: u32,
}

impl LogConfig {
    pub fn from_flags(flags: &Flags) -> Self {
        Self {
            level: flags.log_level,
            file: flags.log_filename.clone(),
            also_to_stderr: flags.log_also_to_stderr,
            retain_files: flags.log_retain_num,
            retain_days: flags.log_retain_days,
        }
    }
}

/// Installs the process's log. Once per process.
pub fn init(config: &LogConfig) -> anyhow::Result<()> {
    let writer = match &config.file {
        None => BoxMakeWriter::new(io::stdout),
        Some(path) => {
            let file = RotatingFile::open(path, config.retain_files, config.retain_days)
                .with_context(|| format!("open log file {}", path.display()))?;
            match config.also_to_stderr {
                true => BoxMakeWriter::new(file.and(io::stderr)),
                false => BoxMakeWriter::new(file),
            }
        }
    };
    let layer =
        tracing_subscriber::fmt::layer().event_format(format::LogLine).with_writer(writer).with_ansi(false);
    tracing_subscriber::registry()
        .with(targets(config.level))
        .with(layer)
        .try_init()
        .context("install the log")
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        // There is nothing more severe than an error.
        LogLevel::Error | LogLevel::Fatal | LogLevel::Panic => LevelFilter::ERROR,
    };
    let others = level.min(LevelFilter::WARN);
    Targets::new().with_default(others).with_targets(OUR_CRATES.map(|name| (name, level)))
}
