//! What a person sees while the demo works: bars on a terminal, or one line per step.

use std::io::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);

/// Where progress goes.
#[derive(Debug)]
pub struct Progress {
    bars: MultiProgress,
    plain: bool,
}

impl Progress {
    /// `plain` prints lines to stderr instead of bars.
    pub fn new(plain: bool) -> Self {
        let bars = MultiProgress::new();
        if plain {
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bars, plain }
    }

    /// A bar from 0 to `length`.
    pub fn bar(&self, name: &'static str, length: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("{prefix:>12} {bar:40} {pos}/{len} {msg}");
        self.add(ProgressBar::new(length), name, style)
    }

    /// A line that turns until it is finished.
    pub fn spinner(&self, name: &'static str) -> ProgressBar {
        let bar = self.add(
            ProgressBar::new_spinner(),
            name,
            ProgressStyle::with_template("{prefix:>12} {spinner} {msg}"),
        );
        bar.enable_steady_tick(TICK);
        bar
    }

    fn add(
        &self,
        bar: ProgressBar,
        name: &'static str,
        style: Result<ProgressStyle, indicatif::style::TemplateError>,
    ) -> ProgressBar {
        let bar = self.bars.add(bar).with_prefix(name);
        match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }

    /// Ends a bar, leaving `outcome` in its place.
    pub fn done(&self, bar: &ProgressBar, outcome: String) {
        if self.plain {
            let _ = writeln!(std::io::stderr(), "{:>12} {outcome}", bar.prefix());
        }
        bar.finish_with_message(outcome);
    }
}
