//! The real `ccr_syncer` binary as a child process: started, killed, restarted on the same metadata.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{BOUND, log, wait_until};

/// What the log says before the port.
const LISTENING: &str = "INFO listening address=127.0.0.1:";

/// A `ccr_syncer` process with its own port, metadata file and log. Killed when dropped.
#[derive(Debug)]
pub struct Syncer {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
    flags: Vec<String>,
    allowed: Vec<String>,
    pub(super) http: reqwest::Client,
}

impl Syncer {
    /// Starts a syncer with an empty metadata file and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(flags: &[&str]) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("an HTTP client is built");
        let mut syncer = Self {
            dir: tempfile::tempdir().expect("a temporary directory is made"),
            port: 0,
            child: None,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            allowed: Vec::new(),
            http,
        };
        syncer.restart().await;
        syncer
    }

    /// Starts the process on the metadata that is there, and waits until it answers. The system chooses its
    /// port, for one that was free a moment ago may be that of another test's syncer now.
    pub async fn restart(&mut self) {
        let logged = self.log_text().len();
        self.launch();
        self.port = wait_until("the syncer listens", BOUND, || async {
            let text = self.log_text().split_off(logged);
            let line = text.lines().find_map(|line| line.split_once(LISTENING));
            let port = line.and_then(|(_, rest)| rest.split(' ').next()).and_then(|port| port.parse().ok());
            port.ok_or(text)
        })
        .await;
        let (http, url) = (self.http.clone(), self.url("version"));
        wait_until("the syncer answers", BOUND, || async {
            http.get(&url).send().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Starts the process, which may not live long enough to answer.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "the syncer runs already");
        let open = || {
            let log = OpenOptions::new().create(true).append(true).open(self.log());
            Stdio::from(log.expect("the log is opened"))
        };
        let child = Command::new(binary())
            .args(["--host", "127.0.0.1", "--port", "0", "--log_level", "info"])
            .arg("--db_dir")
            .arg(self.dir.path().join("ccr.db"))
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(open())
            .stderr(open())
            .spawn()
            .expect("ccr_syncer starts");
        self.child = Some(child);
    }

    /// Ends the process as a crash does: no handler of its runs.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the syncer runs");
        child.kill().expect("the process is killed");
        child.wait().expect("the process is reaped");
    }

    /// Waits until the process has ended by itself, as one that crashes does.
    pub async fn crashed(&mut self) {
        let mut child = self.child.take().expect("the syncer runs");
        let ended = wait_until("the syncer crashes", BOUND, || {
            let ended = child.try_wait().expect("the process can be asked");
            async move { ended.ok_or_else(|| "it runs".to_owned()) }
        })
        .await;
        assert!(!ended.success(), "a crash is no success: {ended}");
    }

    /// Flags of the next start.
    pub fn set_flags(&mut self, flags: &[&str]) {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Asks the process to end (SIGTERM) and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the syncer runs");
        let killed = Command::new("kill").arg(child.id().to_string()).status();
        assert!(killed.is_ok_and(|status| status.success()), "the process is there to be signalled");
        let mut status = None;
        wait_until("the syncer ends", BOUND, || {
            status = child.try_wait().expect("the process can be asked");
            let ended = status.is_some();
            async move { if ended { Ok(()) } else { Err("it runs".to_owned()) } }
        })
        .await;
        status.expect("the process has ended")
    }

    /// Lets the log hold WARN and ERROR lines with this text.
    pub fn allow(&mut self, text: &str) {
        self.allowed.push(text.to_owned());
    }

    /// The end of every test: stops the process, if it still runs, and checks its log.
    pub async fn finish(mut self) {
        if self.child.is_some() {
            let status = self.stop().await;
            assert!(status.success(), "the syncer ended with {status}\n{}", self.log_tail());
        }
        let unexpected = log::unexpected_lines(&self.log(), &self.allowed);
        assert!(unexpected.is_empty(), "the log holds unexpected lines:\n{}", unexpected.join("\n"));
    }

    pub fn url(&self, route: &str) -> String {
        format!("http://127.0.0.1:{}/{route}", self.port)
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("ccr_syncer.log")
    }

    fn log_tail(&self) -> String {
        log::tail(&self.log(), 60)
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- end of the syncer's log ----\n{}", self.log_tail());
        }
    }
}

/// The `ccr_syncer` that was built with these tests, or another one to be tested: a release build, say.
fn binary() -> PathBuf {
    std::env::var_os("CCR_SYNCER_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_ccr_syncer").into()).into()
}
