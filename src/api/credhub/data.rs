//! `/api/v1/data`: set, generate, get, find, delete.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use credsmith_core::{
    domain::{VersionId, name::Pattern},
    hub::{self, Caller, Hub, Mode},
};
use futures::{SinkExt, StreamExt, channel::mpsc, future, stream};
use tracing::Instrument;

use super::{
    body::Body,
    error::Error,
    query::Query,
    request::{GenerateRequest, SetRequest},
    view,
};

/// GET `/data`: three calls in one, told apart by what the query holds (spec section 1.2).
pub(super) async fn get(State(hub): State<Arc<Hub>>, caller: Caller, query: Query) -> Result<Response, Error> {
    let pattern = match (query.text("path"), query.text("name-like")) {
        (Some(_), Some(_)) => {
            return Err(Error::bad_request("path and name-like cannot be combined: send one of them"));
        }
        (Some(path), None) => Pattern::below(&path),
        (None, Some(text)) => Pattern::containing(&text),
        (None, None) => return by_name(&hub, &caller, &query).await,
    };
    let days = query.integer("expires-within-days")?;
    find(hub, caller, pattern, days).await
}

/// GET `/data/{id}`. What is no id is the id of nothing.
pub(super) async fn get_by_id(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id = Some(id).filter(|id| id.len() == UUID_LENGTH).and_then(|id| VersionId::parse(&id));
    let version = hub.version(&caller, id.ok_or(hub::Error::NotFound)?).await?;
    Ok(view::credential(&version))
}

/// PUT `/data`.
pub(super) async fn set(State(hub): State<Arc<Hub>>, caller: Caller, body: Body) -> Result<Response, Error> {
    let SetRequest { name, given, metadata, overwrite } = SetRequest::read(&body)?;
    drop(body);
    let mode = if overwrite { Mode::Overwrite } else { Mode::NoOverwrite };
    let version = hub.set(&caller, &name, given, metadata, mode).await?;
    Ok(view::credential(&version))
}

/// POST `/data`.
pub(super) async fn generate(State(hub): State<Arc<Hub>>, caller: Caller, body: Body) -> Result<Response, Error> {
    let GenerateRequest { name, parameters, metadata, mode } = GenerateRequest::read(&body)?;
    let version = hub.generate(&caller, &name, &parameters, metadata, mode).await?;
    Ok(view::generated(&version))
}

/// DELETE `/data`.
pub(super) async fn delete(State(hub): State<Arc<Hub>>, caller: Caller, query: Query) -> Result<StatusCode, Error> {
    hub.delete(&caller, &query.name()?.ok_or(hub::Error::NotFound)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn by_name(hub: &Hub, caller: &Caller, query: &Query) -> Result<Response, Error> {
    let name = query.name()?;
    let (current, versions) = (query.flag("current")?, query.integer("versions")?);
    if current && versions.is_some() {
        return Err(Error::bad_request("current and versions cannot be combined: send one of them"));
    }
    let limit = versions.map(u32::try_from).transpose();
    let limit = limit.map_err(|_| Error::bad_request("versions is negative: give 1 or more"))?;
    let name = name.filter(|_| limit != Some(0)).ok_or(hub::Error::NotFound)?;
    let found = if current { hub.active(caller, &name).await? } else { hub.versions(caller, &name, limit).await? };
    Ok(view::data(&found))
}

/// Answers page by page, since a search may find a hundred thousand names. An error before the first page is an ordinary
/// one; a later one breaks the connection off, because a list that just ends would look complete.
async fn find(hub: Arc<Hub>, caller: Caller, pattern: Pattern, days: Option<i32>) -> Result<Response, Error> {
    let (mut to, pages) = mpsc::channel(0);
    let search = async move {
        if let Err(error) = search(&hub, &caller, pattern, days, &mut to).await {
            let _ = to.send(Err(error)).await; // nobody is left to be told
        }
    };
    // Both ends run in the task of the answer, so a caller who goes away ends the search.
    let searching = stream::once(search.in_current_span()).filter_map(|()| future::ready(None));
    let mut pages = Box::pin(stream::select(pages, searching));
    let first = pages.next().await.transpose()?;
    let rest = pages.inspect(|page| {
        if let Err(error) = page {
            tracing::error!(%error, "a find broke off");
        }
    });
    Ok(view::json(axum::body::Body::from_stream(stream::iter(first.map(Ok)).chain(rest))))
}

async fn search(
    hub: &Hub,
    caller: &Caller,
    pattern: Pattern,
    days: Option<i32>,
    to: &mut mpsc::Sender<Result<String, hub::Error>>,
) -> Result<(), hub::Error> {
    let mut found = match days {
        Some(days) => hub.expiring(caller, pattern, days).await?,
        None => hub.find(caller, pattern).await?,
    };
    let mut page = FIND_START.to_owned();
    let mut separator = "";
    while let Some(found) = found.next().await {
        page.push_str(separator);
        separator = ",";
        view::write_found(&found?, &mut page);
        if page.len() > PAGE && to.send(Ok(std::mem::take(&mut page))).await.is_err() {
            return Ok(()); // the caller has gone
        }
    }
    page.push_str(FIND_END);
    let _ = to.send(Ok(page)).await;
    Ok(())
}

const FIND_START: &str = r#"{"credentials":["#;
const FIND_END: &str = "]}";
/// Bytes after which a page of a find is sent.
const PAGE: usize = 16 * 1024;
/// With its hyphens: the other spellings of a UUID would be second names of a version.
const UUID_LENGTH: usize = 36;
