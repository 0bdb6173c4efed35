//! The command line.
//!
//! The flags are those of the Go program, by name: underscores, one dash or two, `=` or a space before the
//! value, the last of several wins. [`args`] brings that syntax into the form that clap expects;
//! [`config_file`] adds the values of a file *before* those of the command line, so that the command line
//! has the last word. Flags that steer nothing in this build are accepted, so that scripts keep working.

mod args;
mod config_file;
mod duration;
mod features;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, ValueEnum};
use thiserror::Error;

pub use config_file::ConfigFileError;
pub use duration::parse_go_duration;
pub use features::{FEATURES, Feature, Features};

/// Cross-cluster replication for Apache Doris.
#[derive(Parser, Debug, Clone, PartialEq)]
#[command(
    name = "ccr_syncer",
    disable_version_flag = true,
    args_override_self = true,
    after_help = "Every flag works with one dash or two, and with = or a space before its value.",
    max_term_width = 110
)]
pub struct Flags {
    /// Print the version and exit
    #[arg(long, value_name = "BOOL", help_heading = "General",
          default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true,
          value_parser = args::parse_bool, action = ArgAction::Set)]
    pub version: bool,

    /// Address to listen on, and this node's identity together with the port. Nothing listens on any other
    /// address; give 0.0.0.0 to listen on all
    #[arg(long, default_value = "127.0.0.1", help_heading = "General")]
    pub host: String,

    /// Port of the HTTP API
    #[arg(long, default_value_t = 9190, help_heading = "General")]
    pub port: u16,

    /// Serve /failpoint, which is for tests
    #[arg(long = "enable_failpoints", value_name = "BOOL", help_heading = "General",
          default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true,
          value_parser = args::parse_bool, action = ArgAction::Set)]
    pub enable_failpoints: bool,

    /// Failpoints to set from the start, as name=value
    #[arg(long = "failpoints", value_name = "NAME=VALUE,...", value_delimiter = ',',
          value_parser = args::parse_pair, help_heading = "General")]
    pub failpoints: Vec<(String, String)>,

    /// File with one flag=value per line; the command line wins over it
    #[arg(long = "config_file", value_name = "PATH", help_heading = "General")]
    pub config_file: Option<PathBuf>,

    /// Kind of the metadata database
    #[arg(long = "db_type", value_enum, default_value_t = DbType::Sqlite3, help_heading = "Metadata database")]
    pub db_type: DbType,

    /// File of the sqlite3 database
    #[arg(
        long = "db_dir",
        value_name = "PATH",
        default_value = "ccr.db",
        help_heading = "Metadata database"
    )]
    pub db_dir: PathBuf,

    /// Host of a mysql or postgresql database; no effect, as this build knows sqlite3 only
    #[arg(long = "db_host", default_value = "127.0.0.1", help_heading = "Metadata database")]
    pub db_host: String,

    /// Port of a mysql or postgresql database; no effect
    #[arg(long = "db_port", default_value_t = 3306, help_heading = "Metadata database")]
    pub db_port: u16,

    /// User of a mysql or postgresql database; no effect
    #[arg(long = "db_user", default_value = "root", help_heading = "Metadata database")]
    pub db_user: String,

    /// Password of a mysql or postgresql database; no effect. Prefer config_file, a command line can be read by others
    #[arg(
        long = "db_password",
        default_value = "",
        hide_default_value = true,
        help_heading = "Metadata database"
    )]
    pub db_password: Secret,

    /// Name of the mysql database or postgresql schema; no effect
    #[arg(long = "db_name", default_value = "ccr", help_heading = "Metadata database")]
    pub db_name: String,

    /// Connections to a mysql or postgresql database; no effect
    #[arg(
        long = "db_max_open_conns",
        value_name = "N",
        default_value_t = 20,
        help_heading = "Metadata database"
    )]
    pub db_max_open_conns: u32,

    /// Least severe level that is logged
    #[arg(long = "log_level", value_enum, default_value_t = LogLevel::Info, help_heading = "Logs")]
    pub log_level: LogLevel,

    /// Log file; without it logs go to standard output
    #[arg(long = "log_filename", value_name = "PATH", help_heading = "Logs")]
    pub log_filename: Option<PathBuf>,

    /// Log to standard error as well, when there is a log file
    #[arg(long = "log_also_to_stderr", value_name = "BOOL", help_heading = "Logs",
          default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true,
          value_parser = args::parse_bool, action = ArgAction::Set)]
    pub log_also_to_stderr: bool,

    /// Rotated log files to keep; 0 for all
    #[arg(long = "log_retain_num", value_name = "N", default_value_t = 30, help_heading = "Logs")]
    pub log_retain_num: u32,

    /// Days to keep rotated log files; 0 for ever
    #[arg(long = "log_retain_days", value_name = "DAYS", default_value_t = 7, help_heading = "Logs")]
    pub log_retain_days: u32,

    /// Time to connect to a frontend or backend, like 10s or 1m30s
    #[arg(long = "connect_timeout", value_name = "DURATION", default_value = "10s",
          value_parser = parse_go_duration, help_heading = "Doris")]
    pub connect_timeout: Duration,

    /// Time for one call to a frontend or backend
    #[arg(long = "rpc_timeout", value_name = "DURATION", default_value = "30s",
          value_parser = parse_go_duration, help_heading = "Doris")]
    pub rpc_timeout: Duration,

    /// Time for committing a transaction
    #[arg(long = "commit_txn_timeout", value_name = "DURATION", default_value = "33s",
          value_parser = parse_go_duration, help_heading = "Doris")]
    pub commit_txn_timeout: Duration,

    /// Largest packet to or from a frontend's MySQL port, in bytes
    #[arg(long = "mysql_max_allowed_packet", value_name = "BYTES", default_value_t = 1 << 30, help_heading = "Doris")]
    pub mysql_max_allowed_packet: u64,

    /// MySQL connections to a frontend; 0 for no limit but that of this program, 1000
    #[arg(long = "fe_max_open_conns", value_name = "N", default_value_t = 20, help_heading = "Doris")]
    pub fe_max_open_conns: u32,

    /// Accepted for compatibility; no effect
    #[arg(long = "fe_max_conn_lifetime", value_name = "DURATION", default_value = "0",
          value_parser = parse_go_duration, help_heading = "Doris")]
    pub fe_max_conn_lifetime: Duration,

    /// Accepted for compatibility; no effect
    #[arg(long = "local_repo_name", default_value = "", hide_default_value = true, help_heading = "Doris")]
    pub local_repo_name: String,

    /// Tablets that are ingested at the same time on one target backend
    #[arg(long = "max_ingest_concurrency_per_backend", value_name = "N", default_value_t = 48,
          value_parser = clap::value_parser!(u32).range(1..), help_heading = "Replication")]
    pub max_ingest_concurrency_per_backend: u32,

    /// Binlogs per fetch, 1 to 255
    #[arg(long = "binlog_batch_size", value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u8).range(1..), help_heading = "Replication")]
    pub binlog_batch_size: u8,

    /// Transactions of one job that are ingested at the same time
    #[arg(long = "max_pipeline_ingesting_num", value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Replication")]
    pub max_pipeline_ingesting_num: u32,

    /// Tables of one job that are copied at the same time
    #[arg(long = "max_table_copies", value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=10), help_heading = "Replication")]
    pub max_table_copies: u32,

    /// Time after which a table whose transaction keeps failing goes on by itself
    #[arg(long = "quarantine_after", value_name = "DURATION", default_value = "5m",
          value_parser = parse_go_duration, help_heading = "Replication")]
    pub quarantine_after: Duration,

    /// Accepted for compatibility; no effect
    #[arg(long, value_name = "BOOL", help_heading = "Profiling",
          default_value = "false", default_missing_value = "true", num_args = 0..=1, require_equals = true,
          value_parser = args::parse_bool, action = ArgAction::Set)]
    pub pprof: bool,

    /// Accepted for compatibility; no effect
    #[arg(long = "pprof_port", default_value_t = 6060, help_heading = "Profiling")]
    pub pprof_port: u16,

    #[arg(skip)]
    pub features: Features,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum DbType {
    Sqlite3,
    Mysql,
    Postgresql,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
    Panic,
}

/// A value that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("******")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[derive(Debug, Error)]
pub enum FlagError {
    /// Also `--help`; prints and exits like clap does.
    #[error("{0}")]
    Clap(#[from] clap::Error),
    #[error(transparent)]
    ConfigFile(#[from] ConfigFileError),
}

impl Flags {
    /// Parses arguments without the program's name, and the configuration file they name.
    pub fn parse_from_args<I, S>(arguments: I) -> Result<Self, FlagError>
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        let command = Self::full_command();
        let given = args::normalise(&command, arguments.into_iter().map(Into::into));
        let flags = Self::from_normalised(&command, &given)?;
        let Some(path) = &flags.config_file else {
            return Ok(flags);
        };
        let mut all = config_file::read(&command, path)?;
        all.extend(given);
        Ok(Self::from_normalised(&command, &all)?)
    }

    /// The parser with all flags, those of the features included.
    pub fn full_command() -> clap::Command {
        Self::command().args(features::arguments())
    }

    fn from_normalised(command: &clap::Command, arguments: &[String]) -> Result<Self, clap::Error> {
        let name = std::iter::once("ccr_syncer");
        let matches =
            command.clone().try_get_matches_from(name.chain(arguments.iter().map(String::as_str)))?;
        let mut flags = Self::from_arg_matches(&matches)?;
        flags.features = Features::from_matches(&matches);
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Flags {
        Flags::parse_from_args(arguments.iter().copied()).unwrap()
    }

    fn error(arguments: &[&str]) -> String {
        Flags::parse_from_args(arguments.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn every_flag_takes_one_dash_or_two_and_equals_or_a_space() {
        let values = [
            ("host", "0.0.0.0"),
            ("port", "9191"),
            ("config_file", "/dev/null"),
            ("db_type", "mysql"),
            ("db_dir", "x"),
            ("db_host", "h"),
            ("db_port", "3307"),
            ("db_user", "u"),
            ("db_password", "-p=1"),
            ("db_name", "n"),
            ("db_max_open_conns", "7"),
            ("log_level", "panic"),
            ("log_filename", "f"),
            ("log_also_to_stderr", "true"),
            ("log_retain_num", "3"),
            ("log_retain_days", "3"),
            ("connect_timeout", "1m30s"),
            ("rpc_timeout", "500ms"),
            ("commit_txn_timeout", "1h"),
            ("mysql_max_allowed_packet", "1024"),
            ("fe_max_open_conns", "5"),
            ("fe_max_conn_lifetime", "10m"),
            ("local_repo_name", "r"),
            ("max_ingest_concurrency_per_backend", "4"),
            ("binlog_batch_size", "255"),
            ("max_pipeline_ingesting_num", "8"),
            ("max_table_copies", "2"),
            ("quarantine_after", "1m"),
            ("pprof", "true"),
            ("pprof_port", "6061"),
            ("version", "true"),
            ("enable_failpoints", "true"),
            ("failpoints", "commit_txn:before=crash,ingest:after=fail:2"),
        ];
        let features =
            FEATURES.iter().map(|feature| (feature.name, if feature.default { "false" } else { "true" }));
        let default = parse(&[]);
        let mut seen = std::collections::BTreeSet::new();
        for (name, value) in values.into_iter().chain(features) {
            let joined = format!("--{name}={value}");
            let wanted = parse(&[&joined]);
            assert_ne!(wanted, default, "{name} must have an effect on the result");
            assert_eq!(parse(&[&joined[1..]]), wanted, "{name}");
            assert_eq!(parse(&[&format!("-{name}"), value]), wanted, "{name}");
            assert_eq!(parse(&[&format!("--{name}"), value]), wanted, "{name}");
            seen.insert(name.to_owned());
        }
        let all: std::collections::BTreeSet<String> = Flags::full_command()
            .get_arguments()
            .filter_map(|argument| argument.get_long().map(str::to_owned))
            .collect();
        assert_eq!(seen, all, "the table above holds every flag");
    }

    #[test]
    fn switches_need_no_value() {
        let flags =
            parse(&["-log_also_to_stderr", "--feature_skip_rollup_binlogs", "-port", "1", "--version"]);
        assert!(flags.log_also_to_stderr && flags.version);
        assert!(flags.features.get("feature_skip_rollup_binlogs"));
        assert_eq!(flags.port, 1);
        assert!(!parse(&["-feature_atomic_restore=F"]).features.get("feature_atomic_restore"));
    }

    #[test]
    fn the_last_of_several_wins() {
        assert_eq!(parse(&["-port=1", "--port", "2"]).port, 2);
        assert!(!parse(&["-feature_txn_insert", "-feature_txn_insert=0"]).features.get("feature_txn_insert"));
    }

    #[test]
    fn errors_name_the_flag() {
        for (arguments, part) in [
            (&["-nonsense=1"][..], "nonsense"),
            (&["--db_hots", "x"], "db_hots"),
            (&["-port=70000"], "port"),
            (&["-rpc_timeout=10"], "rpc_timeout"),
            (&["-binlog_batch_size=0"], "binlog_batch_size"),
            (&["-db_type=oracle"], "db_type"),
            (&["-log_also_to_stderr=perhaps"], "log_also_to_stderr"),
            (&["-db_dir"], "db_dir"),
            (&["stray"], "stray"),
        ] {
            let text = error(arguments);
            assert!(text.contains(part), "{arguments:?}: {text}");
        }
    }

    #[test]
    fn help_shows_every_flag() {
        let help = error(&["--help"]);
        for argument in Flags::full_command().get_arguments() {
            if let Some(name) = argument.get_long() {
                assert!(help.contains(&format!("--{name}")), "{name} is missing in:\n{help}");
                assert!(argument.get_help().is_some(), "{name} has no help");
            }
        }
        assert_eq!(error(&["-h"]), error(&["-h"]));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", parse(&["-db_password=secret-word"])).contains("secret-word"));
    }
}
