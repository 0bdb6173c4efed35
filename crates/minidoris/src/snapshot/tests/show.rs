//! The rows of SHOW BACKUP and SHOW RESTORE.

use super::*;
use crate::testkit::{self, Spec, create_db, create_table};

#[tokio::test]
async fn rows_have_doriss_columns_and_forms() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_table(&cluster, db, &Spec::new("a"));
    create_table(&cluster, db, &Spec::new("b"));
    submit_backup(&cluster, "d", &backup_statement("snap_1")).unwrap();
    let show = |filter: LabelFilter| show_backup(&cluster.fe.lock(), "d", &filter).unwrap();
    let result = show(LabelFilter::All);
    assert_eq!(result.columns.len(), 14);
    let row = &result.rows[0];
    assert_eq!(row[1].as_deref(), Some("snap_1"));
    assert_eq!(row[4].as_deref(), Some("[d.a], [d.b]"));
    assert_eq!(row[5].as_ref().unwrap().len(), "2026-01-01 00:00:00".len());
    assert_eq!(row[8], None, "a time not reached is NULL");
    assert_eq!((row[12].as_deref(), row[13].as_deref()), (Some("[OK]"), Some("86400")));
    for (filter, found) in [
        (LabelFilter::Equals("snap_1".to_owned()), 1),
        (LabelFilter::Equals("snap".to_owned()), 0),
        (LabelFilter::Like("snap%".to_owned()), 1),
        (LabelFilter::Like("snap__".to_owned()), 1),
        (LabelFilter::Like("%nope%".to_owned()), 0),
    ] {
        assert_eq!(show(filter.clone()).rows.len(), found, "{filter:?}");
    }
    finish(&cluster, "d", "snap_1").await;
    assert!(show(LabelFilter::All).rows[0][8].is_some());
    assert_eq!(show_backup(&cluster.fe.lock(), "x", &LabelFilter::All).unwrap_err().code, 1049);
}

#[test]
fn the_default_time_limit_of_a_backup_is_a_setting() {
    let cluster = testkit::cluster(1);
    create_db(&cluster, "d", true);
    cluster.fe.lock().set_config("backup_job_default_timeout_ms", "7200000");
    submit_backup(&cluster, "d", &backup_statement("s")).unwrap();
    let shown = show_backup(&cluster.fe.lock(), "d", &LabelFilter::All).unwrap();
    assert_eq!(shown.rows[0][13].as_deref(), Some("7200"));
}

#[tokio::test]
async fn brief_restore_rows_leave_the_bulk_out() {
    let cluster = testkit::cluster(1);
    let db = create_db(&cluster, "d", true);
    create_db(&cluster, "e", false);
    create_table(&cluster, db, &Spec::new("a"));
    let snapshot = back_up(&cluster, "d", "s").await;
    submit_restore(&cluster, restore_request(&cluster, &snapshot, "e", "r")).unwrap();
    let show = |brief| show_restore(&cluster.fe.lock(), "e", &LabelFilter::All, brief).unwrap();
    let full = show(false);
    assert_eq!((full.columns.len(), full.rows[0].len()), (21, 21));
    let objects: serde_json::Value = serde_json::from_str(full.rows[0][10].as_ref().unwrap()).unwrap();
    assert_eq!(objects["olap_table_list"][0]["name"], "a");
    assert_eq!(objects["olap_table_list"][0]["partition_names"][0], "a");
    let brief = show(true);
    assert_eq!((brief.columns.len(), brief.rows[0].len()), (18, 18));
    assert!(!brief.columns.iter().any(|name| name == "RestoreObjs" || name == "Progress"));
}
