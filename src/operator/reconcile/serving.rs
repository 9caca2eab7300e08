//! What is served while an object is not ready: the version that its Secret holds, and no other.

use credsmith_core::domain::VersionId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::context::Context;

/// A version by its id, and its number.
pub type Known = (String, i64);

/// The number of the version that the Secret of an object holds; `None` where there is no such Secret, or where nobody can
/// tell. `known` is the version that the object knows of, so that the store need not be asked about it.
pub async fn version(object: &ObjectMeta, known: Known, context: &Context) -> Option<i64> {
    let (namespace, uid) = (object.namespace.as_deref()?, object.uid.as_deref()?);
    let mut all = context.secrets.others_of(namespace, uid, None);
    all.retain(|(_, seen)| !seen.terminating);
    let (_, newest) = all.into_iter().max_by_key(|(_, seen)| seen.revision)?;
    let id = newest.version?;
    if id == known.0 {
        return Some(known.1);
    }
    Some(context.hub.store.version(VersionId::parse(&id)?).await.ok()??.number)
}
