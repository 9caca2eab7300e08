//! Those who talk to the front.

use std::sync::Mutex;

use credsmith_harness::{
    front::{AUDIENCE, Answer, Front},
    kubeconfig,
    operator::OperatorProcess,
};
use kube::Client;
use serde_json::Value;

/// Somebody who talks to the front. Refusals and tokens are kept for the scan for leaks.
#[derive(Clone, Debug)]
pub struct Caller(Front);

impl Caller {
    pub async fn new(operator: &OperatorProcess, client: &Client, namespace: &str, account: &str) -> Self {
        let token = kubeconfig::token(client, namespace, account, Some(AUDIENCE), 3600).await.unwrap();
        HEARD.lock().unwrap().tokens.push(token.clone());
        Self(operator.front().await.unwrap().with_token(&token))
    }

    pub async fn get(&self, path: &str) -> Answer {
        heard(self.0.get(path).await.unwrap())
    }

    /// The newest value of a path.
    pub async fn value(&self, path: &str) -> Value {
        let answer = self.get(&format!("/api/v1/data?name={path}&current=true")).await;
        assert_eq!(answer.status, 200, "{path} cannot be read");
        answer.json().unwrap()["data"][0]["value"].take()
    }

    pub async fn put(&self, body: Value) -> Answer {
        heard(self.0.put("/api/v1/data", &body).await.unwrap())
    }

    pub async fn post(&self, body: Value) -> Answer {
        heard(self.0.post("/api/v1/data", &body).await.unwrap())
    }

    pub async fn delete(&self, path: &str) -> Answer {
        heard(self.0.delete(&format!("/api/v1/data?name={path}")).await.unwrap())
    }

    /// A body as it is.
    pub async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        heard(self.0.send(method.parse().unwrap(), path, Some(body.to_owned())).await.unwrap())
    }
}

/// What the callers of this process heard, and what they must not find again.
#[derive(Debug, Default)]
pub struct Heard {
    /// Every body with a status of 400 or more.
    pub refusals: Vec<String>,
    pub tokens: Vec<String>,
}

pub static HEARD: Mutex<Heard> = Mutex::new(Heard { refusals: Vec::new(), tokens: Vec::new() });

fn heard(answer: Answer) -> Answer {
    if answer.status >= 400 {
        HEARD.lock().unwrap().refusals.push(answer.text.clone());
    }
    answer
}
