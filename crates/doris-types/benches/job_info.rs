//! Memory for the job info of a large snapshot.
//!
//! Scanning a job info of 200 MB and adding `extra_info` to it must take less than twice its size beyond the
//! text itself. The peak of resident memory is read from the kernel. Exits with 1 when the bound is exceeded.
#![allow(clippy::print_stdout, reason = "the result is for whoever runs the benchmark")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use doris_types::job_info::{ExtraInfo, JobInfo, NetworkAddress, insert_extra_info};

const MB: usize = 1 << 20;
const BOUND: f64 = 2.0;

fn main() -> ExitCode {
    // `cargo bench` passes this flag. Without it a test run has started the program: then a small text shows
    // that it works, and the bound says little.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let text = job_info(if is_bench { 200 * MB } else { 4 * MB });
    let size = text.len();

    reset_peak();
    let before = status_bytes("VmRSS:");
    let start = Instant::now();
    let (Ok(info), Ok(extended)) = (JobInfo::scan(&text), insert_extra_info(text, &extra_info())) else {
        println!("job_info: the generated text was refused");
        return ExitCode::FAILURE;
    };
    let elapsed = start.elapsed();
    let (Some(before), Some(peak)) = (before, status_bytes("VmHWM:")) else {
        println!("job_info: this system does not tell the memory of a process; nothing measured");
        return ExitCode::SUCCESS;
    };
    let ratio = peak.saturating_sub(before) as f64 / size as f64;
    println!(
        "job_info: {} MB, {} tables, {} backends, {} ms; extra memory / size = {ratio:.3} (bound {BOUND})",
        size / MB,
        info.backup_objects.len(),
        info.backends.len(),
        elapsed.as_millis(),
    );
    let is_extended = extended.len() > size;
    if is_extended && (ratio < BOUND || !is_bench) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn extra_info() -> ExtraInfo {
    let address = |id: i64| NetworkAddress { ip: format!("10.0.0.{id}"), port: 8040 };
    ExtraInfo {
        be_network_map: (0..10).map(|id| (10_001 + id, address(id))).collect::<BTreeMap<_, _>>(),
        token: "token".to_owned(),
    }
}

/// A job info of about `size` bytes, shaped like that of a database with many tablets.
fn job_info(size: usize) -> Vec<u8> {
    // Per tablet: its files and order, its backend, and the path of its snapshot.
    const BYTES_PER_TABLET: usize = 22 + 17 + 25 + 83;
    const TABLETS_PER_PARTITION: usize = 64;
    let tablets = size / BYTES_PER_TABLET;
    let first = 9_007_199_254_740_993_usize - tablets;
    let mut text = String::with_capacity(size + size / 2);
    text.push_str(r#"{"name":"s1","database":"d1","id":10010,"backup_objects":{"#);
    for (table, chunk) in (0..tablets).step_by(TABLETS_PER_PARTITION).enumerate() {
        let comma = if table == 0 { "" } else { "," };
        let ids = || (chunk..(chunk + TABLETS_PER_PARTITION).min(tablets)).map(|tablet| first + tablet);
        let files: Vec<String> = ids().map(|id| format!("\"{id}\":[]")).collect();
        let order: Vec<String> = ids().map(|id| id.to_string()).collect();
        let _ = write!(
            text,
            r#"{comma}"t{table}":{{"id":{table},"partitions":{{"p":{{"id":{table},"version":5,"indexes":{{"t{table}":{{"id":1,"schema_hash":1,"tablets":{{{}}},"tablets_order":[{}]}}}}}}}}}}"#,
            files.join(","),
            order.join(","),
        );
    }
    text.push_str(r#"},"tablet_be_map":{"#);
    for tablet in 0..tablets {
        let comma = if tablet == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}"{}":{}"#, first + tablet, 10_001 + tablet % 10);
    }
    text.push_str(r#"},"tablet_snapshot_path_map":{"#);
    for tablet in 0..tablets {
        let comma = if tablet == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}"{}":"/data/doris/be/storage/snapshot/20260101120000.{tablet}.86400""#,
            first + tablet
        );
    }
    text.push_str(r#"},"table_commit_seq_map":{"1":50400}}"#);
    // As a text from the network: without room to grow in place.
    text.shrink_to_fit();
    text.into_bytes()
}

/// Sets the peak of resident memory back to its current value; where that is refused, the peak of generating
/// the text is counted as well, which only makes the result worse.
fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn status_bytes(field: &str) -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok().map(|kilobytes| kilobytes * 1024)
}
