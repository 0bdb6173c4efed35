//! One fault rule and what it makes a server do.

use std::time::Duration;

use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use super::{Latency, NodeId, Taken};

/// What a server does with the call it asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultAction {
    /// Go on as usual.
    Proceed,
    /// Close the connection without doing the work.
    CutBefore,
    /// Do the work, then close the connection instead of answering.
    CutAfter,
    /// Do the work, send a part of the answer, then close the connection.
    CutMidReply,
    /// Do the work, and send half of the answer as if it were the whole one. Only HTTP answers have such halves;
    /// elsewhere as [`FaultAction::CutMidReply`].
    Truncate,
    /// Do not do the work; answer this status (a TStatusCode, a MySQL error code or an HTTP status).
    Status { code: i32, text: String },
    /// Do not do the work; answer NOT_MASTER as a follower does.
    NotMaster,
    /// Close the connection at once, as if nobody listened.
    Refuse,
    /// Answer getMeta without tables, as a frontend does whose catalogue is behind; do other calls as usual.
    Empty,
    /// Answer as if the file were gone.
    MissingFile,
    /// End the job with that message.
    Cancel(String),
}

/// What a fault does; a delay leads to [`FaultAction::Proceed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Milliseconds before the work.
    Delay(u64),
    /// As a delay, of another length for each call.
    Latency(Latency),
    CutBefore,
    CutAfter,
    CutMidReply,
    Truncate,
    Status {
        code: i32,
        text: String,
    },
    NotMaster,
    Refuse,
    Empty,
    /// The segment file of a rowset is gone: a backend answers 404 to downloads of segments, of binlogs and of
    /// snapshots alike. Meets no other call, and none that asks for anything else.
    MissingSegment,
    /// As `MissingSegment` for the files of inverted indexes.
    MissingIndexFile,
    /// Ends a backup (`job:BACKUP`) or restore (`job:RESTORE`) with that message at its next step. Meets nothing
    /// else, and is the only kind that meets a job.
    Cancel(String),
}

/// One rule: which calls it meets, how often, and what happens to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `None`: any node.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// Call name as in the counters; a trailing `*` stands for any ending. `None`: any call.
    #[serde(default)]
    pub call: Option<String>,
    /// Only calls whose rendering (tables, label, statement text) contains this.
    #[serde(default)]
    pub contains: Option<String>,
    /// How many calls that it would meet it still lets pass.
    #[serde(default)]
    pub after: u64,
    /// How many calls it still meets; `None`: no limit.
    #[serde(default)]
    pub remaining: Option<u64>,
    /// Chance per matching call, 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
    pub kind: FaultKind,
}

/// The name under which rules meet a backend that makes a transaction's versions visible.
pub(crate) const PUBLISH: &str = "publish";

impl Fault {
    /// A rule that meets every call of every node, until it is narrowed.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            node: None,
            call: None,
            contains: None,
            after: 0,
            remaining: None,
            probability: certain(),
            kind,
        }
    }

    pub fn on(mut self, node: NodeId) -> Self {
        self.node = Some(node);
        self
    }

    pub fn call(mut self, call: &str) -> Self {
        self.call = Some(call.to_owned());
        self
    }

    pub fn containing(mut self, text: &str) -> Self {
        self.contains = Some(text.to_owned());
        self
    }

    pub fn after(mut self, count: u64) -> Self {
        self.after = count;
        self
    }

    pub fn times(mut self, count: u64) -> Self {
        self.remaining = Some(count);
        self
    }

    pub fn with_probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    pub(super) fn meets(&self, node: NodeId, call: &str, detail: &str) -> bool {
        let call_meets = |wanted: &String| match wanted.strip_suffix('*') {
            Some(prefix) => call.starts_with(prefix),
            None => call.eq_ignore_ascii_case(wanted),
        };
        // No client calls this, so that a rule for any call does not mean it.
        let must_be_named = call == PUBLISH;
        self.node.is_none_or(|wanted| wanted == node)
            && self.call.as_ref().map_or(!must_be_named, call_meets)
            && self.contains.as_ref().is_none_or(|text| detail.contains(text.as_str()))
            && self.kind.meets(call, detail)
            && self.remaining != Some(0)
    }
}

impl FaultKind {
    pub(super) fn take(&self, random: &mut StdRng) -> Taken {
        Taken::Action(match self {
            FaultKind::Delay(ms) => return Taken::Wait(Duration::from_millis(*ms)),
            FaultKind::Latency(latency) => return Taken::Wait(latency.draw(random)),
            FaultKind::CutBefore => FaultAction::CutBefore,
            FaultKind::CutAfter => FaultAction::CutAfter,
            FaultKind::CutMidReply => FaultAction::CutMidReply,
            FaultKind::Truncate => FaultAction::Truncate,
            FaultKind::Status { code, text } => FaultAction::Status { code: *code, text: text.clone() },
            FaultKind::NotMaster => FaultAction::NotMaster,
            FaultKind::Refuse => FaultAction::Refuse,
            FaultKind::Empty => FaultAction::Empty,
            FaultKind::MissingSegment | FaultKind::MissingIndexFile => FaultAction::MissingFile,
            FaultKind::Cancel(message) => FaultAction::Cancel(message.clone()),
        })
    }

    /// Whether the kind has a meaning for the call; missing files meet only downloads of such files.
    fn meets(&self, call: &str, detail: &str) -> bool {
        if call.starts_with("job:") {
            return matches!(self, FaultKind::Cancel(_));
        }
        let (method, extension) = match self {
            FaultKind::MissingSegment => ("method=get_segment_file", ".dat"),
            FaultKind::MissingIndexFile => ("method=get_segment_index_file", ".idx"),
            FaultKind::Cancel(_) => return false,
            FaultKind::Delay(_)
            | FaultKind::Latency(_)
            | FaultKind::CutBefore
            | FaultKind::CutAfter
            | FaultKind::CutMidReply
            | FaultKind::Truncate
            | FaultKind::Status { .. }
            | FaultKind::NotMaster
            | FaultKind::Refuse
            | FaultKind::Empty => return true,
        };
        match call {
            "http:/api/_binlog/_download" => detail.contains(method),
            "http:/api/_tablet/_download" => detail.contains(extension),
            _ => false,
        }
    }
}

fn certain() -> f64 {
    1.0
}
