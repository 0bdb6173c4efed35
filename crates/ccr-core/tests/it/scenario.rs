//! A scenario that goes through everything a database job replicates, for the crash matrix and others.

use super::run::Run;
use super::world::World;
use super::world::snapshot::Work;

/// What is upstream before the job.
pub fn prepare(world: &World) {
    world.with(|world| {
        world.create("t1", &[1, 2], 1);
        world.create("t2", &[], 2);
        world.create("gone", &[1], 1);
        world.create_view("v1", "t1");
        world.load_all("t1");
        world.load_all("t2");
        world.load_all("gone");
        let during: Vec<Work> = vec![
            Box::new(|world| {
                world.load_all("t1");
                world.load_all("gone");
                world.add_partition("gone", 2, false);
            }),
            Box::new(|world| {
                world.load(&[("t1", &["p1"]), ("t2", &["t2"])]);
                world.add_partition("t1", 3, false);
                world.drop_table("gone");
            }),
            Box::new(|world| {
                world.load_all("t2");
                world.create("t3", &[], 1);
                world.load_all("t3");
            }),
        ];
        world.backups.between_barriers.extend(during);
    });
}

/// What is done upstream while the job runs; returns when all is replicated.
pub async fn play(run: &mut Run) {
    run.caught_up().await;
    run.world.with(|world| {
        world.load_all("t1");
        world.load(&[("t1", &["p2"]), ("t2", &["t2"])]);
        world.database_property();
        world.create("t4", &[5], 1);
        world.load_all("t4");
        world.load_all("t1");
    });
    run.caught_up().await;
    run.world.with(|world| {
        world.truncate("t2", &[]);
        world.load_all("t2");
        world.add_partition("t4", 6, false);
        world.load_all("t4");
        world.truncate("t4", &["p5"]);
        world.load_all("t4");
        world.drop_partition("t1", "p1");
        world.load_all("t1");
        world.create_view("v2", "t4");
        world.drop_view("v1");
    });
    run.caught_up().await;
    run.world.with(|world| {
        world.load_all("t3");
        world.drop_table("t3");
        world.create("t3", &[1], 1);
        world.load_all("t3");
        world.load_all("t2");
    });
    run.caught_up().await;
}
