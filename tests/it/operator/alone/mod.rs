//! The operator in a control plane of its own: what hinders it, what it may, and what it counts.

mod exercise;
mod hindrances;
mod measures;
mod unreadable;
mod used_rights;

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use credsmith_harness::{
    audit::Audit,
    cluster::Cluster,
    control_plane::{ControlPlane, Options},
    operator::{OperatorOptions, OperatorProcess},
    state,
};

use super::scene::{start, until};

/// One control plane for all that follows, since each costs seconds: every step leaves it as it found it.
#[tokio::test]
async fn what_hinders_the_operator_is_told_once_and_mended_and_what_it_may_is_what_it_uses() {
    let place = Place::set().await;
    hindrances::the_api_server_with_the_master_key_is_waited_for(&place).await;
    hindrances::a_missing_right_is_told_once_with_the_next_step(&place).await;
    hindrances::a_missing_definition_is_told_once_with_the_next_step(&place).await;
    let normal = credsmith_harness::requests::now();
    let namespace = exercise::everything_the_operator_does(&place).await;
    used_rights::none_was_missing_since(&place, normal).await;
    exercise::a_certificate_authority_that_vanished_while_nobody_watched_comes_back(&place, namespace.name()).await;
    used_rights::every_right_of_the_chart_was_used(&place).await;
    measures::every_documented_metric_is_there_with_a_sane_value(&place).await;
    unreadable::an_object_that_cannot_be_read_says_which_field_and_recovers(&place, namespace.name()).await;
}

/// The cluster, and the operator in it: with its master key in a Secret, as the chart has it.
struct Place {
    operator: OperatorProcess,
    cluster: Cluster,
    /// How far the log was read.
    read: Mutex<usize>,
    _dir: tempfile::TempDir, // the last: the others live in it
}

impl Place {
    async fn set() -> Self {
        state::keep_until_the_end();
        let cluster = Cluster::start(Options { audit: Audit::Everything, ..Options::default() }).await.unwrap();
        cluster.install_chart().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = OperatorOptions {
            dir: Some(dir.path().join("operator")),
            keys: "secret:credsmith-root-key".into(),
            ..OperatorOptions::default()
        };
        let operator = start(&cluster, options).await.unwrap();
        Self { operator, cluster, read: Mutex::default(), _dir: dir }
    }

    fn plane(&self) -> &ControlPlane {
        self.cluster.own().expect("it was just started")
    }

    /// Status and body of a page of the plain listener.
    async fn page(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let answer = http.get(format!("{}{path}", self.operator.plain_url())).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Waits until the process is not ready, for a reason that contains this.
    async fn unready(&self, why: &str) {
        until(&format!("/readyz to say {why}"), async || {
            let (status, body) = self.page("/readyz").await?;
            if status == 503 && body.contains(why) { Ok(Some(())) } else { anyhow::bail!("{status} {body}") }
        })
        .await;
    }

    /// The value of a series, absent being none.
    async fn series(&self, series: &str) -> Option<f64> {
        let (_, page) = self.page("/metrics").await.ok()?;
        let line = page.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// From here on [`lines`](Self::lines) reads the log.
    fn forget_the_log(&self) {
        let length = self.log().len();
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = length;
    }

    /// The new lines of the log with this level and text. Those below INFO are no news to an administrator.
    fn lines(&self, level: &str, text: &str) -> Vec<String> {
        let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let log = self.log();
        let level = format!(r#""level":"{level}""#);
        log[read..].lines().filter(|line| line.contains(&level) && line.contains(text)).map(str::to_owned).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.operator.process().log()).unwrap_or_default()
    }
}

/// The root of the work tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
