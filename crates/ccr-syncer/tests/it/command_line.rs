//! The binary itself: what it prints and how it ends.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> (Output, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ccr_syncer")).args(arguments).output().unwrap();
    let out = String::from_utf8(output.stdout.clone()).unwrap();
    let err = String::from_utf8(output.stderr.clone()).unwrap();
    (output, out, err)
}

#[test]
fn help_and_version_go_to_standard_output() {
    for flag in ["--help", "-h"] {
        let (output, out, err) = run(&[flag]);
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
        assert!(out.contains("--db_dir") && out.contains("--feature_atomic_restore"), "{out}");
    }
    for flag in ["-version", "--version", "--version=true"] {
        let (output, out, _) = run(&[flag]);
        assert_eq!((output.status.code(), out.trim()), (Some(0), ccr_syncer::VERSION));
    }
}

#[test]
fn what_cannot_be_used_is_named_on_standard_error() {
    for (arguments, part) in [
        (&["--nonsense=1"][..], "nonsense"),
        (&["-port", "x"], "port"),
        (&["-db_type=mysql"], "sqlite3 only"),
        (&["-db_type", "postgresql"], "sqlite3 only"),
        (&["-config_file=/no/such/file"], "/no/such/file"),
    ] {
        let (output, out, err) = run(arguments);
        assert_eq!((output.status.code(), out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
    // A directory is no database file.
    let (output, _, err) = run(&["-db_dir=/", "-port=0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("metadata database"), "{err}");
}
