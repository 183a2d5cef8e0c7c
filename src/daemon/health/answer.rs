//! The answers: status, headers and body. Plain text, or JSON if the request asks for it.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::check::{Outcome, one_line};
use super::checks::Finding;

/// How an answer is written.
pub(super) enum Form {
    Text,
    Json,
}

impl Form {
    /// Chooses JSON if `application/json` is accepted by name, and has at least the weight of plain text.
    pub(super) fn asked_for(headers: &HeaderMap) -> Form {
        let (mut json, mut text) = (0.0, 0.0);
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in ranges.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let weight = weight.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            if name.eq_ignore_ascii_case("application/json") {
                json = weight;
            } else if name.eq_ignore_ascii_case("text/plain") {
                text = weight;
            }
        }
        if json > 0.0 && json >= text { Form::Json } else { Form::Text }
    }
}

/// Makes the answer to `/health`.
pub(super) fn health(form: &Form, findings: &[Finding]) -> Response<Full<Bytes>> {
    let faults: Vec<String> = findings.iter().filter_map(fault).collect();
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match form {
        Form::Text if faults.is_empty() => text(status, "ok\n"),
        Form::Text => text(status, format!("unhealthy: {}\n", faults.join("; "))),
        Form::Json => {
            let overall = if faults.is_empty() { "ok" } else { "unhealthy" };
            let checks: Vec<Value> = findings.iter().map(entry).collect();
            as_json(status, &json!({ "status": overall, "checks": checks }))
        }
    }
}

/// Makes the answer to `/ready`.
pub(super) fn ready(form: &Form, ready: bool) -> Response<Full<Bytes>> {
    let (status, word) = if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    match form {
        Form::Text => text(status, format!("{word}\n")),
        Form::Json => as_json(status, &json!({ "status": word })),
    }
}

pub(super) fn no_such_path() -> Response<Full<Bytes>> {
    text(StatusCode::NOT_FOUND, "not found\n")
}

pub(super) fn no_such_method() -> Response<Full<Bytes>> {
    with_methods(text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"))
}

/// Makes the answer to OPTIONS.
pub(super) fn options() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    with_methods(response)
}

fn with_methods(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    response
}

pub(super) fn bad_host() -> Response<Full<Bytes>> {
    text(StatusCode::BAD_REQUEST, "bad request: there must be one Host header\n")
}

/// Adds that the connection ends with this answer.
pub(super) fn last(response: &mut Response<Full<Bytes>>) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body.into())
}

fn as_json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    response(status, "application/json", format!("{value}\n").into())
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Says on one line what is wrong with a check; None if it passed. The error of a check without a name stands alone.
fn fault(finding: &Finding) -> Option<String> {
    let why = match &finding.outcome {
        Outcome::Passed => return None,
        Outcome::Failed(why) if finding.name.is_none() && !why.is_empty() => return Some(why.clone()),
        outcome => reason(outcome, finding.took)?,
    };
    Some(format!("{}: {why}", name(finding)))
}

fn name(finding: &Finding) -> String {
    finding.name.clone().unwrap_or_else(|| format!("check {}", finding.place))
}

fn reason(outcome: &Outcome, took: Duration) -> Option<String> {
    match outcome {
        Outcome::Passed => None,
        Outcome::Failed(why) if why.is_empty() => Some("failed, and does not say why".to_owned()),
        Outcome::Failed(why) | Outcome::Panicked(why) => Some(why.clone()),
        Outcome::NotRun(why) => Some(one_line(why)),
        Outcome::TimedOut => Some(format!("timed out after {}", short(took))),
        Outcome::StillRunning => Some(format!("still running after {}", short(took))),
    }
}

fn entry(finding: &Finding) -> Value {
    let state = match finding.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Panicked(_) => "panicked",
        Outcome::TimedOut => "timed out",
        Outcome::StillRunning => "still running",
        Outcome::NotRun(_) => "not run",
    };
    let duration_ms = (finding.took.as_secs_f64() * 1e6).round() / 1e3;
    let mut entry = json!({ "name": name(finding), "state": state, "duration_ms": duration_ms });
    if let (Some(why), Some(fields)) = (reason(&finding.outcome, finding.took), entry.as_object_mut()) {
        fields.insert("error".to_owned(), why.into());
    }
    entry
}

/// Writes a duration with one unit: milliseconds below a second.
fn short(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
