// SPDX-License-Identifier: Apache-2.0
//! The HTTP interface. `openapi.json` describes it.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::HEXLOWER;
use devid_verifier::cmw;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use tokio::time::timeout;

use crate::connections::Connection;
use crate::metrics::count;
use crate::report::AnswerJson;
use crate::{Service, Signer, page};

/// The description of the interface, as it is served.
pub const OPENAPI: &str = include_str!("openapi.json");

const JSON: &str = "application/json";
const EAR_JWT: &str = "application/eat+jwt";
const EAR_CWT: &str = "application/eat+cwt";

/// Media types that a token may come as. What it is shows in its bytes.
const TOKENS: [&str; 5] = [
    "application/eat+cwt",
    "application/cbor",
    "application/octet-stream",
    "application/cmw+cbor",
    "application/cmw+json",
];

/// Length of a challenge where nobody asks for another, in bytes.
const DEFAULT_CHALLENGE_LEN: usize = 32;

pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/challenge", post(challenge))
        .route("/verify", post(verify))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(|| async { typed(JSON, OPENAPI) }))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing here") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "another method is needed")
        })
        .with_state(service)
}

/// What went wrong, as `application/problem+json` (RFC 9457).
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: &'static str,
}

impl Problem {
    const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Json {
            title: &'static str,
            status: u16,
            detail: &'static str,
        }
        let title = self.status.canonical_reason().unwrap_or_default();
        let json = Json { title, status: self.status.as_u16(), detail: self.detail };
        let body = serde_json::to_vec(&json).unwrap_or_default();
        (self.status, typed("application/problem+json", body)).into_response()
    }
}

/// An answer that nobody may keep: each is about one moment.
fn typed(media_type: &'static str, body: impl Into<Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    (headers, body.into()).into_response()
}

async fn health(State(service): State<Arc<Service>>) -> Result<Response, Problem> {
    service.is_healthy().await.map_err(|error| unavailable(&service, &error))?;
    Ok(typed(JSON, r#"{"status":"ok"}"#))
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    typed("text/plain; version=0.0.4", service.metrics().text())
}

async fn challenge(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Json {
        challenge: String,
        expires: u64,
    }
    const WRONG: Problem =
        Problem::new(StatusCode::BAD_REQUEST, "the query is `length=` and 32, 48 or 64");
    let len = match query.as_deref() {
        None | Some("") => DEFAULT_CHALLENGE_LEN,
        Some(query) => {
            query.strip_prefix("length=").and_then(|len| len.parse().ok()).ok_or(WRONG)?
        }
    };
    let (challenge, expires) = service.challenge(len).ok_or(WRONG)?;
    let json = Json { challenge: HEXLOWER.encode(&challenge), expires };
    Ok(typed(JSON, serde_json::to_vec(&json).map_err(|_| internal())?))
}

async fn verify(
    State(service): State<Arc<Service>>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let form = Form::wanted(request.headers(), &service)?;
    if !is_token(request.headers().get(CONTENT_TYPE)) {
        const WHY: &str =
            "a token comes as application/eat+cwt, cmw+cbor, cmw+json, cbor or octet-stream";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, WHY));
    }
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.waits_for_client();
    }
    let body = body(request.into_body(), &service).await?;
    if let Some(connection) = &connection {
        connection.has_its_request();
    }
    let token = cmw::to_cbor(Cow::Borrowed(&body));
    let (token, answer) = match &token {
        Ok(token) => {
            let answer = service.verify(token).await;
            (&token[..], answer.map_err(|error| unavailable(&service, &error))?)
        }
        Err(reason) => (&[][..], service.undecodable(reason)),
    };
    match form {
        Form::Json => {
            let json = AnswerJson::new(token, &answer);
            Ok(typed(JSON, serde_json::to_vec(&json).map_err(|_| internal())?))
        }
        Form::EarJwt(signer) => {
            let jwt = service.ear(&answer).to_jwt(|message| signer.sign(message));
            Ok(typed(EAR_JWT, jwt.map_err(|_| internal())?))
        }
        Form::EarCwt(signer) => {
            let cwt = service.ear(&answer).to_cwt(|message| signer.sign(message));
            Ok(typed(EAR_CWT, cwt.map_err(|_| internal())?))
        }
    }
}

/// A whole body, if it is short enough and comes soon enough.
async fn body(body: Body, service: &Service) -> Result<Bytes, Problem> {
    const TOO_LONG: Problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "longer than any token");
    let limits = service.limits();
    if body.size_hint().lower() > limits.body_len as u64 {
        return Err(TOO_LONG);
    }
    let collected = timeout(limits.patience, Limited::new(body, limits.body_len).collect());
    match collected.await {
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly")),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(TOO_LONG),
        Ok(Err(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "the body was cut off")),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
    }
}

fn is_token(content_type: Option<&HeaderValue>) -> bool {
    content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let media_type = essence(value);
        TOKENS.iter().any(|known| media_type.eq_ignore_ascii_case(known))
    })
}

/// The form of an answer.
#[derive(Clone, Copy)]
enum Form<'s> {
    Json,
    EarJwt(&'s Signer),
    EarCwt(&'s Signer),
}

impl<'s> Form<'s> {
    /// The first of the client's `Accept` that there is (RFC 9110, 12.5.1);
    /// weights are not looked at.
    fn wanted(headers: &HeaderMap, service: &'s Service) -> Result<Self, Problem> {
        let mut any = false;
        for value in headers.get_all(ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                any = true;
                match (essence(range), service.signer()) {
                    (JSON | "application/*" | "*/*", _) => return Ok(Self::Json),
                    (EAR_JWT, Some(signer)) => return Ok(Self::EarJwt(signer)),
                    (EAR_CWT, Some(signer)) => return Ok(Self::EarCwt(signer)),
                    _ => {}
                }
            }
        }
        match (any, service.signer()) {
            (false, _) => Ok(Self::Json),
            (true, Some(_)) => Err(Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "results come as application/json, application/eat+jwt or application/eat+cwt",
            )),
            (true, None) => Err(Problem::new(
                StatusCode::NOT_ACCEPTABLE,
                "results come as application/json: this service has no key to sign them with",
            )),
        }
    }
}

/// A media type or range without its parameters.
fn essence(value: &str) -> &str {
    value.split(';').next().unwrap_or_default().trim()
}

fn unavailable(service: &Service, error: &devid_registry::Error) -> Problem {
    count(&service.metrics().registry_failures);
    tracing::error!(%error, "the registry failed");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the registry failed; try again")
}

const fn internal() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "an answer could not be written")
}
