//! `config_file`: one `flag=value` per line, `#` begins a comment line, nothing is quoted.
//!
//! Errors give the number of the line and never its text, which can hold a password.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use thiserror::Error;

use super::args;

/// A configuration file is a few lines; more is not one.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Error)]
pub enum ConfigFileError {
    #[error("cannot read config file {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("config file {path} is larger than {MAX_BYTES} bytes")]
    TooLarge { path: PathBuf },
    #[error("config file {path}, line {line}: must be flag=value")]
    NoValue { path: PathBuf, line: usize },
    #[error("config file {path}, line {line}: unknown flag {name}")]
    UnknownFlag { path: PathBuf, line: usize, name: String },
    #[error("config file {path}, line {line}: invalid value for {name}")]
    InvalidValue { path: PathBuf, line: usize, name: String },
}

/// The lines as arguments. Another `config_file` in it is skipped.
pub(super) fn read(command: &Command, path: &Path) -> Result<Vec<String>, ConfigFileError> {
    let read_error = |source| ConfigFileError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(read_error)?.len();
    if size > MAX_BYTES {
        return Err(ConfigFileError::TooLarge { path: path.to_owned() });
    }
    parse(command, path, &std::fs::read_to_string(path).map_err(read_error)?)
}

fn parse(command: &Command, path: &Path, text: &str) -> Result<Vec<String>, ConfigFileError> {
    let mut arguments = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (path, number, line) = (path.to_owned(), index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(ConfigFileError::NoValue { path, line: number });
        };
        let (name, value) = (name.trim(), value.trim());
        if args::find(command, name).is_none() {
            return Err(ConfigFileError::UnknownFlag { path, line: number, name: name.to_owned() });
        }
        if name == "config_file" {
            continue;
        }
        let argument = format!("--{name}={value}");
        if command.clone().try_get_matches_from(["ccr_syncer", &argument]).is_err() {
            return Err(ConfigFileError::InvalidValue { path, line: number, name: name.to_owned() });
        }
        arguments.push(argument);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::Flags;

    fn with_file(text: &str, arguments: &[&str]) -> Result<Flags, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let file_flag = format!("-config_file={}", file.path().display());
        let all = arguments.iter().copied().chain([file_flag.as_str()]);
        Flags::parse_from_args(all).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_trimmed_and_lose_against_the_command_line() {
        let text =
            "# a comment\n\n  port = 9300 \ndb_name=a=b # kept\nlog_level=warn\nfeature_txn_insert=false\n";
        let flags = with_file(text, &["--port", "9400"]).unwrap();
        assert_eq!(flags.port, 9400);
        assert_eq!(flags.db_name, "a=b # kept");
        assert_eq!(flags.log_level, super::super::LogLevel::Warn);
        assert!(!flags.features.get("feature_txn_insert"));
    }

    #[test]
    fn errors_name_line_and_flag_but_no_value() {
        for (text, part) in [
            ("port=1\nnonsense=secret-word", "line 2: unknown flag nonsense"),
            ("secret-word", "line 1: must be flag=value"),
            ("\nport=secret-word", "line 2: invalid value for port"),
        ] {
            let error = with_file(text, &[]).unwrap_err();
            assert!(error.contains(part) && !error.contains("secret-word"), "{error}");
        }
        assert!(Flags::parse_from_args(["-config_file=/no/such/file"]).is_err());
    }

    #[test]
    fn another_config_file_is_skipped() {
        assert!(with_file("config_file=/no/such/file\n", &[]).is_ok());
    }
}
