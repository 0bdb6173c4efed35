//! The signals that end the process, and the one that does not.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// Completes at the first SIGINT, SIGTERM or SIGQUIT. SIGHUP is logged only. The handlers are installed
/// before this returns, so that no signal is missed.
pub fn shutdown() -> anyhow::Result<impl Future<Output = ()>> {
    let listen = |kind: SignalKind, name: &str| signal(kind).with_context(|| format!("listen for {name}"));
    let mut interrupt = listen(SignalKind::interrupt(), "SIGINT")?;
    let mut terminate = listen(SignalKind::terminate(), "SIGTERM")?;
    let mut quit = listen(SignalKind::quit(), "SIGQUIT")?;
    let mut hangup = listen(SignalKind::hangup(), "SIGHUP")?;
    Ok(async move {
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                _ = quit.recv() => "SIGQUIT",
                _ = hangup.recv() => {
                    info!("received SIGHUP, going on");
                    continue;
                }
            };
            info!(signal = name, "received a signal to stop");
            return;
        }
    })
}
