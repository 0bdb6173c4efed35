//! The syncer's HTTP API as the tests use it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BOUND, Syncer, wait_until};

/// The state that a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The full sync is over; binlogs may be left.
    Incremental,
    /// The full sync is over and no binlog is left.
    InSync,
}

impl Syncer {
    /// Posts a body and gives the answer, whatever it says.
    pub async fn post(&self, route: &str, body: &Value) -> Value {
        self.post_text(route, &body.to_string()).await.1
    }

    /// Posts a text that may not be JSON; gives the HTTP status and the answer (null when not JSON).
    pub async fn post_text(&self, route: &str, body: &str) -> (u16, Value) {
        let sent = self
            .http
            .post(self.url(route))
            .header("Content-Type", "application/json")
            .body(body.to_owned())
            .send()
            .await;
        let answer = sent.unwrap_or_else(|error| panic!("/{route}: {error:?}"));
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Posts a body and fails the test unless the answer is a success.
    pub async fn call(&self, route: &str, body: &Value) -> Value {
        let answer = self.post(route, body).await;
        assert_eq!(answer["success"], json!(true), "/{route} answered {answer}");
        answer
    }

    /// Posts a body and gives the error text of the failure it must be answered with.
    pub async fn refused(&self, route: &str, body: &Value) -> String {
        let answer = self.post(route, body).await;
        assert_eq!(answer["success"], json!(false), "/{route} answered {answer}");
        answer["error_msg"].as_str().unwrap_or_default().to_owned()
    }

    pub async fn create(&self, job: &Value) {
        self.call("create_ccr", job).await;
    }

    pub async fn pause(&self, name: &str) {
        self.call("pause", &json!({ "name": name })).await;
    }

    pub async fn resume(&self, name: &str) {
        self.call("resume", &json!({ "name": name })).await;
    }

    pub async fn delete(&self, name: &str) {
        self.call("delete", &json!({ "name": name })).await;
    }

    /// The `status` object of `/job_status`.
    pub async fn status(&self, name: &str) -> Value {
        self.call("job_status", &json!({ "name": name })).await["status"].clone()
    }

    /// The `job_progress` object.
    pub async fn progress(&self, name: &str) -> Value {
        self.call("job_progress", &json!({ "name": name })).await["job_progress"].clone()
    }

    pub async fn lag(&self, name: &str) -> i64 {
        let answer = self.call("get_lag", &json!({ "name": name })).await;
        answer["lag"].as_i64().unwrap_or_else(|| panic!("lag is a number in {answer}"))
    }

    /// Waits until a job has got that far.
    pub async fn wait_for(&self, name: &str, target: Target) {
        self.wait_within(name, target, BOUND).await;
    }

    pub async fn wait_within(&self, name: &str, target: Target, bound: Duration) {
        wait_until(&format!("job {name} is {target:?}"), bound, || async {
            let state = self.status(name).await["progress_state"].as_str().unwrap_or_default().to_owned();
            let past_full_sync = state.ends_with("IncrementalSync");
            let reached = match target {
                Target::Incremental => past_full_sync,
                Target::InSync => past_full_sync && self.lag(name).await == 0,
            };
            if reached { Ok(()) } else { Err(format!("{state}; {}", self.progress(name).await)) }
        })
        .await;
    }
}
