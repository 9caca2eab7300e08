//! The plain listener.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use axum::{Router, body::Body, http::Request};
use credsmith_api::{Readiness, plain_router};
use credsmith_core::metrics::Metrics;
use http_body_util::BodyExt;
use insta::assert_snapshot;
use tower::ServiceExt;

#[tokio::test]
async fn it_tells_how_the_process_is_doing_and_nothing_else() {
    let (metrics, store) = (Metrics::new(), Arc::new(Store::default()));
    metrics.build.with_label_values(&["1.2.3"]).set(1);
    let router = plain_router(metrics, store.clone());
    assert_snapshot!(get(&router, "/healthz").await, @"200 text/plain; charset=utf-8 ok");
    assert_snapshot!(get(&router, "/readyz").await, @"503 text/plain; charset=utf-8 the store does not answer");
    store.answers.store(true, Ordering::Relaxed);
    assert_snapshot!(get(&router, "/readyz").await, @"200 text/plain; charset=utf-8 ok");
    assert_snapshot!(get(&router, "/health").await, @r#"200 application/vnd.spring-boot.actuator.v3+json {"groups":["liveness","readiness"],"status":"UP"}"#);
    assert_snapshot!(get(&router, "/metrics").await, @r#"
    200 text/plain; version=0.0.4; charset=utf-8 # HELP credsmith_build_info Always 1
    # TYPE credsmith_build_info gauge
    credsmith_build_info{version="1.2.3"} 1
    "#);
    for path in ["/", "/info", "/api/v1/data?path=", "/healthz/x"] {
        assert_eq!(get(&router, path).await, "404  ", "{path}");
    }
    let post = router.oneshot(Request::post("/health").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(post.status(), 404);
}

async fn get(router: &Router, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let content_type = parts.headers.get("content-type").map_or("", |value| value.to_str().unwrap()).to_owned();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    format!("{} {content_type} {text}", parts.status.as_u16())
}

#[derive(Debug, Default)]
struct Store {
    answers: AtomicBool,
}

#[async_trait]
impl Readiness for Store {
    async fn check(&self) -> Result<(), String> {
        self.answers.load(Ordering::Relaxed).then_some(()).ok_or_else(|| "the store does not answer".into())
    }
}
