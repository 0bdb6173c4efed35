//! The rule that a scenario logs nothing unexpected.

use std::path::Path;

/// Lines of level WARN or ERROR that hold none of the `allowed` texts. Such a text is to be as specific
/// as the fault that the test injected.
pub fn unexpected_lines(log: &Path, allowed: &[String]) -> Vec<String> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines()
        .filter(|line| is_bad(line) && !allowed.iter().any(|part| line.contains(part.as_str())))
        .map(str::to_owned)
        .collect()
}

/// What the store's library says of a statement that took long. It tells of the machine that runs the test.
const SLOW_STATEMENT: &str = "slow statement: execution time exceeded alert threshold";

/// The level is the first word after the time in brackets; a panic has none.
fn is_bad(line: &str) -> bool {
    if line.contains(SLOW_STATEMENT) {
        return false;
    }
    let after_time = line.split_once(']').map_or(line, |(_, rest)| rest);
    let level = after_time.split_whitespace().next().is_some_and(|word| matches!(word, "WARN" | "ERROR"));
    level || line.contains("panicked at")
}

/// The end of a log, for the message of a failed test; without the requests, most of which are a test's
/// looks at a condition.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let all: Vec<&str> = text.lines().filter(|line| !line.contains("INFO request ")).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
