//! A client for the HTTPS front, as small as the questions tests and the demo ask.

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use kube::Client;
use reqwest::{Certificate, Method};
use serde_json::Value;

use crate::kubeconfig;

/// The front, as seen by one caller. Cheap to clone; for the async runtime it was made in.
#[derive(Clone)]
pub struct Front {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// What the front answered, whatever the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Front {
    /// The front at `url`, known by the certificate authority `ca` (PEM) alone, for a caller without a token.
    pub fn new(url: &str, ca: &str) -> Result<Self> {
        crate::use_one_tls_provider();
        let ca = Certificate::from_pem(ca.as_bytes()).context("the certificate authority of the front")?;
        let http = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { http, url: url.trim_end_matches('/').into(), token: None })
    }

    /// The same for a ServiceAccount, with a token for the front alone that is good for an hour.
    pub async fn as_service_account(&self, client: &Client, namespace: &str, name: &str) -> Result<Self> {
        Ok(self.with_token(&kubeconfig::token(client, namespace, name, Some(AUDIENCE), 3600).await?))
    }

    /// The same with a bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// GET; `path` with its query, such as `/api/v1/data?name=/a`.
    ///
    /// # Errors
    /// Only where there was no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// PUT of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, Some(body.to_string())).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, None).await
    }

    /// Any method with any body, a malformed one too; it is called JSON.
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method.clone(), &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let answer = request.send().await.with_context(|| format!("no answer to {method} {url}"))?;
        Ok(Answer { status: answer.status().as_u16(), text: answer.text().await? })
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "[secret]");
        f.debug_struct("Front").field("url", &self.url).field("token", &token).finish_non_exhaustive()
    }
}

impl Answer {
    /// Its body as JSON.
    ///
    /// # Errors
    /// Where it is none; with the whole answer.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("no JSON in the answer: {self}"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

/// The audience of tokens for the front.
pub const AUDIENCE: &str = "credsmith";
const TIMEOUT: Duration = Duration::from_secs(30);
