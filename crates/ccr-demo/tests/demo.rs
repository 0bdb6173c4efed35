//! The demo itself, as a person runs it.

use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ccr-demo")).args(arguments).output().expect("the demo starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_small_run_ends_with_equal_sides_and_leaves_its_logs_where_told() {
    let logs = tempfile::tempdir().unwrap();
    let dir = logs.path().to_str().unwrap();
    let run = demo(&["--scale", "0.001", "--no-progress", "--seed", "7", "--log-dir", dir]);
    let (out, err) = (text(&run.stdout), text(&run.stderr));
    assert!(run.status.success(), "{}\n{out}\n{err}", run.status);
    assert!(out.contains("EQUAL: every row of 11 tables"), "{out}");
    for name in ["lineitem", "returned_items", "sales_by_nation", "Q5 local suppliers", "commitTxn"] {
        assert!(out.contains(name), "{name} is missing in\n{out}");
    }
    let runs: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(runs.len(), 1, "one directory per run: {runs:?}");
    for log in ["ccr_syncer.log", "minidoris.log"] {
        assert!(runs[0].join(log).exists(), "{log}");
    }
}

#[test]
fn wrong_options_are_explained() {
    for (arguments, part) in [(["--scale", "9"], "0.001 to 2"), (["--log-dir", "/proc/none"], "/proc/none")] {
        let run = demo(&arguments);
        assert!(!run.status.success(), "{arguments:?}");
        assert!(text(&run.stderr).contains(part), "{arguments:?}: {}", text(&run.stderr));
    }
    let help = text(&demo(&["--help"]).stdout);
    for option in ["--scale", "--keep", "--seed", "--no-progress", "--log-dir"] {
        assert!(help.contains(option), "{option}");
    }
    assert!(!help.contains("syncer with the flags"), "the hidden role is hidden");
}
