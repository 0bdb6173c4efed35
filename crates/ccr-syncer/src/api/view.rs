//! `/view`: all jobs on one page, as HTML, as an ASCII table, or separated by tabs.
//!
//! A job that cannot be read, or whose source cannot be asked for its lag, has a row that says so; it does
//! not take the page away from the others. All sources are asked within one bound of time.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ccr_core::job::{JobSpec, SyncType};
use futures::StreamExt;
use tokio::time::Instant;

use super::{Api, job_progress};

const COLUMNS: [&str; 10] = [
    "Job Name",
    "Type",
    "Lag",
    "Lag(Secs)",
    "Sync State",
    "Sub Sync State",
    "Last Fullsync Time",
    "Last Fullsync Reason",
    "Is Hostmapping",
    "Other Args",
];

type Row = [String; COLUMNS.len()];

/// For the lags of all jobs together.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONCURRENT_JOBS: usize = 16;

#[derive(Debug, Clone, Copy)]
enum Form {
    Html,
    Table,
    Raw,
}

pub(super) async fn handle(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Response {
    let form = match query.as_deref().unwrap_or_default() {
        "" | "type=html" => Form::Html,
        "type=table" => Form::Table,
        "type=raw" => Form::Raw,
        _ => {
            let text = "the query must be type=html, type=table or type=raw\n";
            return ([(header::CONTENT_TYPE, PLAIN)], text).into_response();
        }
    };
    let deadline = Instant::now() + TIMEOUT;
    let api = &*api;
    let rows: Vec<Row> = futures::stream::iter(api.manager.names())
        .map(|name| async move { row(api, name, deadline).await })
        .buffered(CONCURRENT_JOBS)
        .collect()
        .await;
    match form {
        Form::Html => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html(&rows)).into_response(),
        Form::Table => ([(header::CONTENT_TYPE, PLAIN)], table(&rows)).into_response(),
        Form::Raw => ([(header::CONTENT_TYPE, PLAIN)], raw(&rows)).into_response(),
    }
}

const PLAIN: &str = "text/plain; charset=utf-8";

async fn row(api: &Api, name: String, deadline: Instant) -> Row {
    let progress = match api.manager.progress(&name, 0).await {
        Ok(progress) => progress,
        Err(error) => {
            let mut row = Row::default();
            row[0] = name;
            row[4] = format!("error: {error}");
            return row;
        }
    };
    let (view, state) = (&progress.view, &progress.state);
    let spec = &view.record.spec;
    let (lag, seconds) = match tokio::time::timeout_at(deadline, api.manager.lag_of(view)).await {
        Ok(Ok(lag)) => (lag.binlogs.to_string(), lag.seconds().to_string()),
        Ok(Err(error)) => (format!("error: {error}"), String::new()),
        Err(_) => (format!("error: the source did not answer within {TIMEOUT:?}"), String::new()),
    };
    let last = state.last_full_sync.as_ref();
    [
        spec.name.clone(),
        kind(spec).to_owned(),
        lag,
        seconds,
        view.status.progress.name().to_owned(),
        job_progress::sub_state_name(state).to_owned(),
        last.map(|last| (last.started_at_ms / 1000).to_string()).unwrap_or_default(),
        last.map(|last| last.reason.describe()).unwrap_or_default(),
        (!spec.src.host_mapping.is_empty() || !spec.dest.host_mapping.is_empty()).to_string(),
        String::new(),
    ]
}

fn kind(spec: &JobSpec) -> &'static str {
    match spec.sync_type() {
        SyncType::Database => "db_sync",
        SyncType::Table if spec.src.table == spec.dest.table => "table_sync",
        SyncType::Table => "table_sync_with_alias",
    }
}

fn html(rows: &[Row]) -> String {
    let line = |tag: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let body: String = rows.iter().map(|row| line("td", row)).collect();
    let head = line("th", &COLUMNS.map(str::to_owned));
    format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>CCR jobs</title></head>\n<body>\n\
         <table border=\"1\">\n{head}{body}</table>\n</body></html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for found in text.chars() {
        match found {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn table(rows: &[Row]) -> String {
    let lines: Vec<Row> = std::iter::once(COLUMNS.map(str::to_owned))
        .chain(rows.iter().map(|row| row.clone().map(flat)))
        .collect();
    let mut widths = [0; COLUMNS.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let rule: String = widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect();
    let mut text = format!("{rule}+\n");
    for (index, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("| {cell:<width$} "));
        text.push_str(&format!("{}|\n", cells.collect::<String>()));
        if index == 0 {
            text.push_str(&format!("{rule}+\n"));
        }
    }
    text.push_str(&format!("{rule}+\n"));
    text
}

fn raw(rows: &[Row]) -> String {
    let lines =
        std::iter::once(COLUMNS.map(str::to_owned)).chain(rows.iter().map(|row| row.clone().map(flat)));
    lines.map(|line| format!("{}\n", line.join("\t"))).collect()
}

/// Without what would break a line or a column.
fn flat(cell: String) -> String {
    cell.chars().map(|found| if found.is_control() { ' ' } else { found }).collect()
}
