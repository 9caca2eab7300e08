//! The floor: a client that knows what to send and sends it, one Secret create and one status patch for each object.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Certificate, Client, Method, header};
use serde::Serialize;

use crate::{
    machine::{self, Spent},
    seen::Seen,
    stage::{Object, Stage},
    template::{Order, Template},
};

/// The bare client.
#[derive(Debug)]
pub struct Floor {
    http: Client,
    server: String,
    template: Template,
    /// How many objects it has in hand at a time.
    pub in_flight: usize,
    /// Objects per second, at each number in flight that was tried.
    pub tried: Vec<(usize, f64)>,
}

/// One round of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    pub objects: usize,
    pub took: Duration,
    /// Creates per second without the patches, of a smaller number of objects.
    pub creates_a_second: f64,
    /// For each object, in microseconds.
    pub spent_each: Spent,
    /// Cores that were busy before.
    pub busy_before: f64,
}

impl Floor {
    /// Finds the number in flight at which it is fastest.
    pub async fn best(stage: &Stage, template: Template, sample: usize) -> Result<Self> {
        let (config, token) = stage.floor_account().await?;
        let mut headers = header::HeaderMap::new();
        headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse()?);
        let mut http = Client::builder().no_proxy().default_headers(headers).timeout(Duration::from_secs(60));
        // The protocol of the operator's client. HTTP/2 would put all requests through one connection.
        http = http.http1_only();
        let authorities = config.root_cert.context("a control plane with a certificate of its own")?;
        let authorities: Vec<_> = authorities.iter().map(|der| Certificate::from_der(der)).collect::<Result<_, _>>()?;
        let http = http.tls_certs_only(authorities).build()?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let mut floor = Self { http, server, template, in_flight: 8, tried: Vec::new() };

        // The first are slower than all others: connections are opened, and the API server meets the kind.
        let objects = stage.make("bench-tried", sample * (1 + IN_FLIGHT.len())).await?;
        let mut batches = objects.chunks(sample);
        for (warm, in_flight) in std::iter::once((true, 32)).chain(IN_FLIGHT.map(|in_flight| (false, in_flight))) {
            floor.in_flight = in_flight;
            let batch = batches.next().context("as many as were made")?;
            let took = floor.send(batch, What::Both).await?.elapsed();
            if !warm {
                floor.tried.push((in_flight, sample as f64 / took.as_secs_f64()));
            }
        }
        stage.clear(&objects).await?;
        let best = floor.tried.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
        floor.in_flight = best.context("something was tried")?.0;
        Ok(floor)
    }

    /// One round: `count` objects that were there before, and creates alone.
    pub async fn round(&self, stage: &Stage, prefix: &str, count: usize) -> Result<Round> {
        let objects = stage.make(prefix, count).await?;
        let others = stage.make(&format!("alone-{prefix}"), (count / 4).max(FEWEST)).await?;
        let busy_before = machine::rest().await?;
        let began = self.send(&others, What::Creates).await?;
        let creates_a_second = others.len() as f64 / began.elapsed().as_secs_f64();

        let seen = Seen::start(stage.client(), prefix, count).await?;
        let before = Spent::now(stage.plane()?, None);
        let began = self.send(&objects, What::Both).await?;
        let took = seen.all(Duration::from_secs(30)).await? - began;
        let spent_each = (Spent::now(stage.plane()?, None) - before).each(count);
        stage.clear(&objects).await?;
        stage.clear(&others).await?;
        Ok(Round { objects: count, took, creates_a_second, spent_each, busy_before })
    }

    /// Sends it all, and returns when it began.
    async fn send(&self, objects: &[Object], what: What) -> Result<Instant> {
        let orders: Arc<[Order]> = objects.iter().map(|object| self.template.order(object)).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        // Tasks and not a stream: those can run on all cores.
        let workers = (0..self.in_flight).map(|_| {
            let (client, server) = (self.http.clone(), self.server.clone());
            let (orders, next) = (orders.clone(), next.clone());
            tokio::spawn(async move {
                while let Some(order) = orders.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (path, body) = &order.create;
                    // As the operator does it: the values need not travel back.
                    request(&client, Method::POST, format!("{server}{path}"), JSON, METADATA_ONLY, body).await?;
                    if what == What::Both {
                        let (path, body) = &order.status;
                        request(&client, Method::PATCH, format!("{server}{path}"), MERGE_PATCH, JSON, body).await?;
                    }
                }
                Ok::<_, anyhow::Error>(())
            })
        });
        let workers: Vec<_> = workers.collect();
        for worker in workers {
            worker.await??;
        }
        Ok(began)
    }

    /// The sizes of what it sends, Secret and status.
    pub fn sizes(&self) -> (usize, usize) {
        self.template.sizes()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Both,
    Creates,
}

async fn request(client: &Client, method: Method, url: String, type_: &str, accept: &str, body: &str) -> Result<()> {
    let request = client.request(method, url).header(header::CONTENT_TYPE, type_).header(header::ACCEPT, accept);
    let answer = request.body(body.to_owned()).send().await?;
    let status = answer.status();
    // To its end, or else the connection could not be used again.
    let text = answer.bytes().await?;
    ensure!(status.is_success(), "the floor was answered {status}: {}", String::from_utf8_lossy(&text));
    Ok(())
}

const IN_FLIGHT: [usize; 4] = [8, 16, 32, 64];
/// Creates alone, of a small run.
const FEWEST: usize = 100;
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
