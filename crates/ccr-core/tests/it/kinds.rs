//! Names that were a view's and are a table's when everything is copied again, and the other way about.

use ccr_core::control::Request;

use super::run::Run;
use super::world::catalog::View;

/// A job over a table that stays, one that becomes a view, and a view that becomes a table while nobody replays it.
async fn exchanged(cannot_replace: bool) -> Run {
    let mut run = Run::following(&["kept", "becomes_view"]).await;
    run.world.with(|world| {
        world.create_view("becomes_table", "kept");
        world.create_view("stays", "kept");
    });
    run.caught_up().await;
    run.stop().await;
    run.world.with(|world| {
        world.restores.cannot_replace = cannot_replace;
        if cannot_replace {
            world.add_column("kept", "c");
        }
        world.drop_view("becomes_table");
        world.create("becomes_table", &[1], 1);
        world.load_all("becomes_table");
        world.drop_table("becomes_view");
        world.create_view("becomes_view", "kept");
        world.load_all("kept");
    });
    run
}

fn force() -> Request {
    Request::FullSync { detail: "a test".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn what_is_the_jobs_makes_room_for_what_has_its_name_now() {
    for cannot_replace in [false, true] {
        let mut run = exchanged(cannot_replace).await;
        run.request(force()).await;
        run.caught_up().await;
        run.check();
        let dropped = |plan: &str, what: &str| {
            run.history().iter().any(|(found, _, outcome)| found == plan && outcome == what)
        };
        assert!(dropped("drop_stale_view", "dropped becomes_table"), "{:?}", run.history());
        assert!(dropped("drop_stale_table", "dropped becomes_view"), "{:?}", run.history());
        // The stream goes on with both.
        run.world.with(|world| {
            world.load_all("becomes_table");
            world.alter_view("becomes_view", "becomes_table");
        });
        run.caught_up().await;
        run.check();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_jobs_is_left_alone() {
    let mut run = Run::following(&["kept"]).await;
    run.stop().await;
    run.world.with(|world| {
        world.create("t", &[1], 1);
        world.load_all("t");
        let id = world.id();
        world.target.views.insert("t".to_owned(), View { id, of: "kept".to_owned(), comment: String::new() });
    });
    run.request(force()).await;
    let blocked = run.blocked().await;
    assert_eq!(blocked.code, "CCR0503");
    assert!(blocked.message.contains("should be same as type of remote table: t"), "{}", blocked.message);
    assert!(run.world.with(|world| world.target.views.remove("t").is_some()), "it is there");
    run.restart().await;
    run.until("resuming", |_, status| status.blocked.is_none()).await;
    run.caught_up().await;
    run.check();
}

/// A view that could not be dropped behind a gap is the job's to remove.
#[tokio::test(start_paused = true)]
async fn what_is_still_to_be_dropped_makes_room_too() {
    let mut run = Run::following(&["kept"]).await;
    run.world.with(|world| world.create_view("v", "kept"));
    run.caught_up().await;
    run.stop().await;
    let newest = run.world.with(|world| {
        world.drop_view("v");
        world.expire_binlogs();
        world.load_all("kept");
        world.busy_tables.push("v".to_owned());
        world.newest()
    });
    run.start();
    run.until("the gap", |world, _| world.store.position.commit_seq >= newest).await;
    run.stop().await;
    run.world.with(|world| {
        let stale = world.store.state.iter().flat_map(|state| state.stale.keys());
        assert_eq!(stale.collect::<Vec<_>>(), ["v"]);
        world.busy_tables.clear();
        world.create("v", &[1], 1);
        world.load_all("v");
    });
    run.request(force()).await;
    run.caught_up().await;
    run.check();
    assert_eq!(run.world.with(|world| world.restores.accepted), 2, "none was refused");
}
