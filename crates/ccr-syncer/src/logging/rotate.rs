//! A log file that is put aside when it is large; old ones are removed by number and age.
//!
//! A file put aside carries the local time in its name and is not compressed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Zoned;
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

const MAX_BYTES: u64 = 1 << 30;
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone)]
pub(super) struct RotatingFile(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    size: u64,
    max_bytes: u64,
    retain_files: usize,
    retain: Duration,
}

impl RotatingFile {
    pub(super) fn open(path: &Path, retain_files: u32, retain_days: u32) -> io::Result<Self> {
        Self::with_limit(path, retain_files, retain_days, MAX_BYTES)
    }

    fn with_limit(path: &Path, retain_files: u32, retain_days: u32, max_bytes: u64) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        let open = Open {
            path: path.to_owned(),
            file,
            size,
            max_bytes,
            retain_files: match retain_files {
                0 => usize::MAX,
                files => files as usize,
            },
            retain: match retain_days {
                0 => Duration::MAX,
                days => DAY * days,
            },
        };
        Ok(Self(Arc::new(Mutex::new(open))))
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut open = self.0.lock();
        if open.size > 0 && open.size + bytes.len() as u64 > open.max_bytes {
            open.rotate();
        }
        // Whole lines, so that lines of several threads are not mixed.
        open.file.write_all(bytes)?;
        open.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().file.flush()
    }
}

impl Open {
    /// Puts the file aside and begins another. Where that fails, the old one grows on: no line is lost.
    fn rotate(&mut self) {
        let stamp = Zoned::now().strftime("%Y%m%d-%H%M%S.%6f").to_string();
        // Somebody else may have put it aside already; then there is nothing to rename.
        let _ = std::fs::rename(&self.path, sibling(&self.path, &stamp));
        if let Ok(file) = append(&self.path) {
            self.size = file.metadata().map_or(0, |data| data.len());
            self.file = file;
        }
        self.remove_old();
    }

    /// Failing to remove an old log is no reason to lose a new line.
    fn remove_old(&self) {
        let mut old = put_aside(&self.path);
        old.sort();
        let too_many = old.len().saturating_sub(self.retain_files);
        let now = SystemTime::now();
        for (index, path) in old.iter().enumerate() {
            let age = std::fs::metadata(path).and_then(|data| data.modified()).ok();
            let age = age.and_then(|modified| now.duration_since(modified).ok()).unwrap_or_default();
            if index < too_many || age > self.retain {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn sibling(path: &Path, stamp: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(stamp);
    name.into()
}

/// The files that were put aside for `path`.
fn put_aside(path: &Path) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_ours = |entry: &std::fs::DirEntry| {
        let file = entry.file_name();
        let stamp =
            file.to_str().and_then(|file| file.strip_prefix(name)).and_then(|rest| rest.strip_prefix('.'));
        stamp.is_some_and(|stamp| stamp.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '.'))
    };
    entries.flatten().filter(is_ours).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_put_aside_and_few_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log").join("s.log");
        let mut file = RotatingFile::with_limit(&path, 2, 7, 10).unwrap();
        for line in ["one\n", "two\n", "three\n", "four four\n", "five five\n", "six\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "six\n");
        let mut old = put_aside(&path);
        old.sort();
        let texts: Vec<String> = old.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts, ["four four\n", "five five\n"]);
    }

    #[test]
    fn no_line_is_lost_when_somebody_else_puts_the_file_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.log");
        let mut file = RotatingFile::with_limit(&path, 0, 0, 10).unwrap();
        file.write_all(b"one two\n").unwrap();
        std::fs::rename(&path, dir.path().join("s.log-1")).unwrap();
        for line in ["three\n", "four four\n", "five five\n"] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "five five\n");
        assert_eq!(put_aside(&path).len(), 2, "zero keeps all");
    }

    #[test]
    fn an_existing_file_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.log");
        std::fs::write(&path, "old\n").unwrap();
        RotatingFile::open(&path, 1, 1).unwrap().write_all(b"new\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\nnew\n");
    }
}
