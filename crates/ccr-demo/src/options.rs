//! The command line of the demo.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Replicates TPC-H data between two emulated Doris clusters and proves that both sides are equal.
#[derive(Debug, Clone, Parser)]
#[command(name = "ccr-demo", version)]
pub struct Options {
    /// TPC-H scale factor: 0.01 is 60,000 order lines, 1 is six million.
    #[arg(long, default_value_t = 0.01, value_parser = scale)]
    pub scale: f64,

    /// Leave clusters and syncer running afterwards, and print how to reach them; Ctrl-C ends them.
    #[arg(long)]
    pub keep: bool,

    /// Seed of the order and the choice of the changes made while replicating.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Print a line per step instead of progress bars.
    #[arg(long)]
    pub no_progress: bool,

    /// Directory for the logs and the syncer's metadata file. Default: a temporary directory, which is
    /// removed when the demo succeeds.
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,

    #[command(subcommand)]
    pub role: Option<Role>,
}

/// What a process that the demo starts runs as.
#[derive(Debug, Clone, Subcommand)]
pub enum Role {
    /// Runs the syncer with the flags that follow.
    #[command(hide = true)]
    Syncer {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        flags: Vec<String>,
    },
}

/// The smallest scale leaves every table some rows; the largest is what fits in the memory of a laptop.
fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    if (0.001..=2.0).contains(&scale) { Ok(scale) } else { Err("must be from 0.001 to 2".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_limits() {
        let options = Options::try_parse_from(["ccr-demo"]).unwrap();
        assert_eq!((options.scale, options.keep, options.seed), (0.01, false, 1));
        for wrong in ["0", "-1", "3", "nan", "x"] {
            assert!(Options::try_parse_from(["ccr-demo", &format!("--scale={wrong}")]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_syncer_gets_its_flags_untouched() {
        let options = Options::try_parse_from(["ccr-demo", "syncer", "--port", "1", "-db_dir=x"]).unwrap();
        let Some(Role::Syncer { flags }) = options.role else { panic!("a role is given") };
        assert_eq!(flags, ["--port", "1", "-db_dir=x"]);
    }
}
