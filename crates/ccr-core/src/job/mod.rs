//! A job: what the operator asked for, where it stands, and how it may move.

mod event;
mod gap;
mod guard;
mod lane;
mod lanes;
mod set_apart;
mod spec;
mod state;
mod transition;

pub use event::{Event, Leaving, LinkEffect};
pub use gap::{Behind, Crossing, GapCrossed};
pub use guard::{HELD_CODE, HeldBy, HeldFullSync, holds};
pub use lane::{Apart, ApartWork, Lane, PartialSyncReason, Recovered, Renaming};
pub use set_apart::{SetApart, links_apart};
pub use spec::{
    ClusterSpec, FrontendSpec, FullSyncGuard, JobOptions, JobOrdering, JobSpec, MAX_FULL_SYNCS_PER_DAY,
    MAX_REPLICATION_NUM, MediumPolicy, SpecError, SyncType,
};
pub use state::{
    Blocked, Creating, DesiredState, FullSync, FullSyncReason, FullSyncRecord, Incremental, JobRecord,
    JobState, NO_TARGET, PartitionAhead, Phase, Position, STATE_VERSION, SnapshotInfo, SnapshotStep,
    SnapshotTable, SnapshotView, Stale, TableLink, Unpublished, ViewApart,
};
pub use transition::{IllegalEvent, transition};
