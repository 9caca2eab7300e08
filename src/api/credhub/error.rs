//! What went wrong, as clients of CredHub read it: a status and `{"error": "<text>"}` (spec sections 1.4 and 12).

use std::borrow::Cow;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use credsmith_core::{
    domain::name,
    hub::{self, SignerFault},
};
use serde_json::json;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// By a use case.
    Hub(hub::Error),
    /// Before any use case saw it.
    Refused(StatusCode, Cow<'static, str>),
}

impl Error {
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(StatusCode::BAD_REQUEST, text.into())
    }

    pub(crate) fn unprocessable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(StatusCode::UNPROCESSABLE_ENTITY, text.into())
    }

    pub(crate) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(StatusCode::NOT_FOUND, text.into())
    }

    pub(crate) fn internal() -> Self {
        Self::Refused(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL.into())
    }

    fn parts(self) -> (StatusCode, Cow<'static, str>) {
        use hub::Error::{
            Busy, Conflict, Damaged, Denied, Fenced, Invalid, NotFound, OtherKind, Owned, OwnedDelete, Signer,
            TooLarge, Unavailable,
        };
        match self {
            Self::Refused(status, text) => (status, text),
            Self::Hub(Invalid(text)) => (StatusCode::BAD_REQUEST, text.into()),
            Self::Hub(OtherKind(_)) => (StatusCode::BAD_REQUEST, TYPE_MISMATCH.into()),
            Self::Hub(NotFound) => (StatusCode::NOT_FOUND, NOT_FOUND.into()),
            Self::Hub(Signer(fault @ SignerFault::Missing(_))) => (StatusCode::NOT_FOUND, fault.to_string().into()),
            Self::Hub(Signer(fault)) => (StatusCode::BAD_REQUEST, fault.to_string().into()),
            Self::Hub(Denied) => (StatusCode::FORBIDDEN, NOT_FOUND.into()),
            Self::Hub(error @ (Owned { .. } | OwnedDelete { .. })) => (StatusCode::FORBIDDEN, error.to_string().into()),
            Self::Hub(error @ Conflict) => (StatusCode::CONFLICT, error.to_string().into()),
            Self::Hub(error @ TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string().into()),
            Self::Hub(error @ (Unavailable(_) | Busy(_) | Fenced(_))) => {
                tracing::warn!(%error, "not available");
                (StatusCode::SERVICE_UNAVAILABLE, format!("{error}: try again in a moment").into())
            }
            Self::Hub(error @ Damaged(_)) => {
                tracing::error!(%error, "damaged");
                (StatusCode::INTERNAL_SERVER_ERROR, DAMAGED.into())
            }
        }
    }
}

impl From<hub::Error> for Error {
    fn from(error: hub::Error) -> Self {
        Self::Hub(error)
    }
}
impl From<name::Error> for Error {
    fn from(error: name::Error) -> Self {
        Self::Hub(error.into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, text) = self.parts();
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (status, json, json!({"error": text}).to_string()).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Compared by clients, to the letter (spec section 12.1).
const NOT_FOUND: &str = "The request could not be completed because the credential does not exist or you do not have \
                         sufficient authorization.";
/// Compared by clients, to the letter (spec section 12.1).
const TYPE_MISMATCH: &str = "The credential type cannot be modified. Please delete the credential if you wish to \
                             create it with a different type.";
const INTERNAL: &str = "the server failed to answer: ask its administrator, whose log says why";
const DAMAGED: &str = "the stored value cannot be opened, and nothing was changed: ask the administrator of the server, \
                       whose log names the version and the cause";

#[cfg(test)]
mod tests {
    use super::*;
    use credsmith_core::domain::CredentialType;

    #[test]
    fn every_error_has_its_status_and_its_text() {
        let owned = hub::Error::Owned {
            path: "/shop/db".into(),
            object: "shop/db".into(),
            mode: "Deny",
            next: "change its source",
        };
        let table = [
            (hub::Error::Invalid("because".into()), 400, "because"),
            (hub::Error::OtherKind(CredentialType::Json), 400, TYPE_MISMATCH),
            (hub::Error::NotFound, 404, NOT_FOUND),
            (
                SignerFault::Missing("/ca".into()).into(),
                404,
                "the CA /ca does not exist, is no certificate, or you may not read it",
            ),
            (
                SignerFault::NotCa("/ca".into()).into(),
                400,
                "the certificate /ca is no CA: name a CA, or generate this one with is_ca",
            ),
            (hub::Error::Denied, 403, NOT_FOUND),
            (owned, 403, "/shop/db belongs to the Credential shop/db, whose apiWrites is Deny: change its source"),
            (hub::Error::Conflict, 409, "the credential is being written by others: try again"),
            (
                hub::Error::TooLarge,
                413,
                "the value is larger than 65536 bytes: shorten it, or split it over several credentials",
            ),
            (
                hub::Error::Unavailable("the store is not available: the disk is full".into()),
                503,
                "the store is not available: the disk is full: try again in a moment",
            ),
            (hub::Error::Damaged("version 1: tampered with".into()), 500, DAMAGED),
        ];
        for (error, status, text) in table {
            let (got, shown) = Error::from(error).parts();
            assert_eq!((got.as_u16(), shown.as_ref()), (status, text));
        }
    }
}
