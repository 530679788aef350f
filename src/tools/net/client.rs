//! The requests of one turn, made.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Client, Method, Response, redirect, retry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::Parts;
use super::address::Guard;
use super::body::{Body, Chunk, check};
use super::failure::HttpFailure;
use super::request::{self, HttpRequest, Prepared};

/// Connections that are kept for the turn's next request: per host, for how long, and of how many
/// hosts. A guest that may reach any number of names must not use up the host's sockets.
const IDLE: usize = 4;
const IDLE_TIME: Duration = Duration::from_secs(15);
const IDLE_HOSTS: usize = 32;

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    /// What to [`read`](Connections::read) its body by.
    pub(crate) response: u32,
    pub(crate) status: u16,
    /// The usual phrase for the status, or nothing.
    pub(crate) reason: String,
    /// Names in lower case, values as latin-1, without those of the connection.
    pub(crate) headers: Vec<(String, String)>,
}

/// The requests and responses of one turn. Dropping it ends them and closes the connections.
pub(crate) struct Connections {
    pub(super) parts: Arc<Parts>,
    places: Arc<Semaphore>,
    clients: Mutex<HashMap<Target, Kept>>,
    table: Mutex<Table>,
}

/// What has a client of its own: the check of addresses depends on the port, and plain `http` does
/// without loading certificates.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Target {
    port: u16,
    https: bool,
}

struct Kept {
    client: Client,
    hosts: HashSet<String>,
}

#[derive(Default)]
struct Table {
    open: HashMap<u32, Arc<tokio::sync::Mutex<Body>>>,
    /// The number that was given out last.
    last: u32,
}

impl Connections {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(parts.bounds.open)),
            parts,
            clients: Mutex::default(),
            table: Mutex::default(),
        }
    }

    /// Makes a request, and waits for the head of its response.
    pub(crate) async fn request(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        self.make(request).await.map_err(|e| self.redacted(e))
    }

    /// The next bytes of a body: at least one and at most `most`, or the end. It waits for
    /// `timeout` within the bounds, and can be asked again after a time-out. A response that was
    /// closed or has been read to its end gives its end.
    pub(crate) async fn read(
        &self,
        response: u32,
        most: usize,
        timeout: Option<Duration>,
    ) -> Result<Chunk, HttpFailure> {
        let body = {
            let table = self.table();
            match table.open.get(&response) {
                Some(body) => Arc::clone(body),
                None if (1..=table.last).contains(&response) => {
                    let data = Vec::new();
                    return Ok(Chunk { data, end: true });
                }
                None => {
                    return Err(HttpFailure::protocol(format!(
                        "there is no response {response}; read one that a request has returned"
                    )));
                }
            }
        };
        let wait = self.wait(timeout);
        let deadline = Instant::now() + wait;
        let chunk = match timeout_at(deadline, body.lock()).await {
            Ok(mut body) => body.read(most, deadline, wait, &self.parts.bounds).await,
            Err(_) => Err(HttpFailure::timeout("the server", "sent no more", wait)),
        };
        if matches!(chunk, Ok(Chunk { end: true, .. })) {
            self.close(response);
        }
        chunk.map_err(|e| self.redacted(e))
    }

    /// Ends a response, whether or not it has been read. One that is not open is left alone.
    pub(crate) fn close(&self, response: u32) {
        let body = self.table().open.remove(&response);
        drop(body);
    }

    async fn make(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let bounds = &self.parts.bounds;
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| HttpFailure::limit(bounds.open))?;
        let wait = self.wait(request.timeout);
        let prepared = request::prepare(&self.parts, request)?;
        let Prepared {
            method,
            url,
            headers,
            body,
            host,
            port,
            plain,
        } = prepared;
        let https = url.scheme() == "https";
        // Not the URL: it may have a secret in it.
        tracing::debug!(%method, host, port, https, "making a request for the code");
        let client = self.client(Target { port, https }, &host).await?;
        let is_head = method == Method::HEAD;
        let mut builder = client.request(method, url).headers(headers);
        if !body.is_empty() {
            builder = builder.body(body);
        }
        let response = match timeout(wait, builder.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(HttpFailure::of(error, &host, https, bounds.connect)),
            Err(_) => return Err(HttpFailure::timeout(&host, "did not answer", wait)),
        };
        check(&response, &host, plain && !is_head)?;
        self.admit(response, is_head, host, place)
    }

    /// Gives the response a number, and its head to the guest.
    fn admit(
        &self,
        response: Response,
        is_head: bool,
        host: String,
        place: OwnedSemaphorePermit,
    ) -> Result<HttpResponse, HttpFailure> {
        let status = response.status();
        let headers = self.headers(response.headers(), is_head);
        let body = Body::new(response, host, self.parts.redactor.stream(), place);
        let mut table = self.table();
        let number = table.last.checked_add(1);
        let number = number.ok_or_else(|| HttpFailure::limit(self.parts.bounds.open))?;
        table.last = number;
        table
            .open
            .insert(number, Arc::new(tokio::sync::Mutex::new(body)));
        Ok(HttpResponse {
            response: number,
            status: status.as_u16(),
            reason: status.canonical_reason().unwrap_or("").to_owned(),
            headers,
        })
    }

    /// The headers that are the guest's to see.
    fn headers(&self, headers: &HeaderMap, is_head: bool) -> Vec<(String, String)> {
        let redactor = &self.parts.redactor;
        // Taking a secret out of a body changes its length.
        let exact = is_head || self.parts.secrets.is_empty();
        headers
            .iter()
            .filter(|(name, _)| match *name {
                name if *name == CONTENT_LENGTH => exact,
                name => !request::is_hop(name) && !redactor.is_in_name(name.as_str()),
            })
            .map(|(name, value)| {
                let value = redactor.bytes(value.as_bytes().to_vec());
                let value = value.into_iter().map(char::from).collect();
                (name.as_str().to_owned(), value)
            })
            .collect()
    }

    /// The client for `target`, made when it is first needed.
    async fn client(&self, target: Target, host: &str) -> Result<Client, HttpFailure> {
        if let Some(kept) = self.clients().get_mut(&target)
            && (kept.hosts.contains(host) || kept.hosts.len() < IDLE_HOSTS)
        {
            kept.hosts.insert(host.to_owned());
            return Ok(kept.client.clone());
        }
        let guard = Guard {
            rules: Arc::clone(&self.parts.rules),
            port: target.port,
            lookup: Arc::clone(&self.parts.lookup),
        };
        let connect = self.parts.bounds.connect;
        // The system's certificates are read from files.
        let made = tokio::task::spawn_blocking(move || client(guard, target.https, connect)).await;
        let failed = |reason: String| {
            HttpFailure::connect(format!(
                "the host cannot make an HTTP client: {reason}; check its certificates"
            ))
        };
        let client = made
            .map_err(|e| failed(e.to_string()))?
            .map_err(|e| failed(e.to_string()))?;
        let kept = Kept {
            client: client.clone(),
            hosts: HashSet::from([host.to_owned()]),
        };
        // With the one that was there before, its idle connections go.
        self.clients().insert(target, kept);
        Ok(client)
    }

    fn wait(&self, wanted: Option<Duration>) -> Duration {
        let most = self.parts.bounds.wait;
        wanted.map_or(most, |wanted| wanted.min(most))
    }

    fn redacted(&self, failure: HttpFailure) -> HttpFailure {
        HttpFailure {
            message: self.parts.redactor.text(&failure.message).into_owned(),
            ..failure
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Target, Kept>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that goes nowhere but where it is sent, by addresses that `guard` lets through.
fn client(guard: Guard, https: bool, connect: Duration) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .dns_resolver(guard)
        .connect_timeout(connect)
        .pool_max_idle_per_host(IDLE)
        .pool_idle_timeout(IDLE_TIME);
    if https {
        builder.build()
    } else {
        builder.tls_certs_only([]).build()
    }
}
