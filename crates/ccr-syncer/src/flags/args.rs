//! From the syntax of Go's `flag` package to clap's: `-x v`, `-x=v`, `--x v` all become `--x=v`.

use clap::{Arg, Command};

/// Rewrites known flags; what is not known is left for clap to complain about.
pub(super) fn normalise(command: &Command, arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut arguments = arguments.peekable();
    let mut result = Vec::new();
    while let Some(argument) = arguments.next() {
        let Some(body) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
            result.push(argument);
            continue;
        };
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let Some(flag) = find(command, name) else {
            // clap reads `-abc` as three short flags and would name the wrong one.
            let long = name.len() > 1 && argument.starts_with('-') && !argument.starts_with("--");
            result.push(if long { format!("-{argument}") } else { argument });
            continue;
        };
        let value = match value {
            Some(value) => Some(value),
            None if is_switch(flag) => arguments.next_if(|next| parse_bool(next).is_ok()),
            None => arguments.next(),
        };
        result.push(match value {
            Some(value) => format!("--{name}={value}"),
            None => format!("--{name}"),
        });
    }
    result
}

/// A flag by its name as written on the command line.
pub(super) fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|argument| argument.get_long() == Some(name))
}

/// Whether the flag may stand without a value.
fn is_switch(flag: &Arg) -> bool {
    flag.is_require_equals_set()
}

/// What Go's `strconv.ParseBool` accepts.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// `name=value`.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}
