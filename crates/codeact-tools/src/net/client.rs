//! The requests and responses of one turn.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Client, Method, Response, redirect, retry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::body::{Body, Chunk, check};
use super::context::NetworkContext;
use super::failure::HttpFailure;
use super::request::{self, HttpRequest, PreparedRequest};
use super::resolve::CheckedResolver;

// Limits of idle connections. A guest that may reach any number of names must not exhaust the host's sockets.

/// Largest number of idle connections of a host.
const MAX_IDLE_CONNECTIONS: usize = 4;
/// Time after which an idle connection is closed.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// Largest number of hosts with idle connections, for each port and scheme.
const MAX_IDLE_HOSTS: usize = 32;

/// Headers with the size or a digest of a body (RFC 9110, section 14.4; RFC 9530; RFC 3230; RFC 1864).
const DESCRIBING: [&str; 5] = [
    "content-range",
    "content-digest",
    "repr-digest",
    "digest",
    "content-md5",
];

/// Properties of a request that decide which headers of its response are hidden.
#[derive(Clone, Copy)]
struct Hidden {
    is_head: bool,
    /// True if the response may contain secrets.
    plain: bool,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpResponse {
    /// Number of the response, for [`Connections::read`].
    pub(crate) response: u32,
    pub(crate) status: u16,
    /// Standard phrase of the status, or empty.
    pub(crate) reason: String,
    /// Names in lower case and values in Latin-1, without the headers of the connection.
    pub(crate) headers: Vec<(String, String)>,
}

/// The requests and responses of one turn. Dropping it ends them and closes the connections.
pub(crate) struct Connections {
    pub(super) context: Arc<NetworkContext>,
    /// Limits the number of open responses.
    permits: Arc<Semaphore>,
    clients: Mutex<HashMap<ClientKey, PooledClient>>,
    table: Mutex<Table>,
}

/// Key of a client: the check of addresses depends on the port, and plain `http` needs no certificates.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ClientKey {
    port: u16,
    https: bool,
}

/// A client with its idle connections.
struct PooledClient {
    client: Client,
    /// Hosts of its requests.
    hosts: HashSet<String>,
}

#[derive(Default)]
struct Table {
    open: HashMap<u32, Arc<tokio::sync::Mutex<Body>>>,
    /// Number of the newest response.
    last: u32,
}

impl Connections {
    pub(super) fn new(context: Arc<NetworkContext>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(context.limits.open)),
            context,
            clients: Mutex::default(),
            table: Mutex::default(),
        }
    }

    /// Makes a request, and returns the head of its response.
    pub(crate) async fn request(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        self.make(request).await.map_err(|e| self.redacted(e))
    }

    /// Returns the next bytes of a body: at least one and at most `max`, or the end. Waits for `timeout`, up to the
    /// limit; after a timeout the caller can try again. A response that was closed or read to its end returns its end.
    pub(crate) async fn read(
        &self,
        response: u32,
        max: usize,
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
            Ok(mut body) => body.read(max, deadline, wait, &self.context.limits).await,
            Err(_) => Err(HttpFailure::timeout("the server", "sent no more", wait)),
        };
        if matches!(chunk, Ok(Chunk { end: true, .. })) {
            self.close(response);
        }
        chunk.map_err(|e| self.redacted(e))
    }

    /// Closes a response, read or not. Has no effect on a response that is not open.
    pub(crate) fn close(&self, response: u32) {
        let body = self.table().open.remove(&response);
        drop(body);
    }

    /// As [`Connections::request`]; a failure can contain secrets.
    async fn make(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        let limits = &self.context.limits;
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|_| HttpFailure::limit(limits.open))?;
        let wait = self.wait(request.timeout);
        let prepared = request::prepare(&self.context, request)?;
        let PreparedRequest {
            method,
            url,
            headers,
            body,
            host,
            port,
            plain,
        } = prepared;
        let https = url.scheme() == "https";
        // The URL may contain a secret.
        tracing::debug!(%method, host, port, https, "making a request for the code");
        let client = self.client(ClientKey { port, https }, &host).await?;
        let is_head = method == Method::HEAD;
        let mut builder = client.request(method, url).headers(headers);
        if !body.is_empty() {
            builder = builder.body(body);
        }
        let response = match timeout(wait, builder.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(HttpFailure::from_reqwest(
                    error,
                    &host,
                    https,
                    limits.connect,
                ));
            }
            Err(_) => return Err(HttpFailure::timeout(&host, "did not answer", wait)),
        };
        check(&response, &host, plain && !is_head)?;
        let hides = Hidden { is_head, plain };
        self.register(response, hides, host, permit)
    }

    /// Assigns a number to the response, and returns its head.
    fn register(
        &self,
        response: Response,
        hides: Hidden,
        host: String,
        permit: OwnedSemaphorePermit,
    ) -> Result<HttpResponse, HttpFailure> {
        let status = response.status();
        let headers = self.headers(response.headers(), hides);
        let body = Body::new(response, host, self.context.redactor.stream(), permit);
        let mut table = self.table();
        let number = table.last.checked_add(1);
        let number = number.ok_or_else(|| HttpFailure::limit(self.context.limits.open))?;
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

    /// Returns the headers for the guest, without secrets.
    fn headers(&self, headers: &HeaderMap, hides: Hidden) -> Vec<(String, String)> {
        let redactor = &self.context.redactor;
        let Hidden { is_head, plain } = hides;
        // Removing a secret from a body changes its length. The length of a response with a secret shows that of the
        // secret, and its digest could confirm any number of guesses without further requests.
        let exact = self.context.secrets.is_empty() || (is_head && !plain);
        headers
            .iter()
            .filter(|(name, _)| match *name {
                name if *name == CONTENT_LENGTH => exact,
                name if plain && DESCRIBING.contains(&name.as_str()) => false,
                name => !request::is_hop(name) && !self.context.has_secret_in_name(name.as_str()),
            })
            .map(|(name, value)| {
                let value = redactor.bytes(value.as_bytes().to_vec());
                let value = value.into_iter().map(char::from).collect();
                (name.as_str().to_owned(), value)
            })
            .collect()
    }

    /// Returns the client for `key`, created at its first use.
    async fn client(&self, key: ClientKey, host: &str) -> Result<Client, HttpFailure> {
        if let Some(pooled) = self.clients().get_mut(&key)
            && (pooled.hosts.contains(host) || pooled.hosts.len() < MAX_IDLE_HOSTS)
        {
            pooled.hosts.insert(host.to_owned());
            return Ok(pooled.client.clone());
        }
        let resolver = CheckedResolver {
            rules: Arc::clone(&self.context.rules),
            port: key.port,
            lookup: Arc::clone(&self.context.lookup),
        };
        let connect = self.context.limits.connect;
        // Reads the certificates of the system from files.
        let made = tokio::task::spawn_blocking(move || client(resolver, key.https, connect)).await;
        let failed = |reason: String| {
            HttpFailure::connect(format!(
                "the host cannot create an HTTP client: {reason}; check its certificates"
            ))
        };
        let client = made
            .map_err(|e| failed(e.to_string()))?
            .map_err(|e| failed(e.to_string()))?;
        let pooled = PooledClient {
            client: client.clone(),
            hosts: HashSet::from([host.to_owned()]),
        };
        // Drops the previous client, and with it its idle connections.
        self.clients().insert(key, pooled);
        Ok(client)
    }

    /// Returns the time to wait, at most the limit.
    fn wait(&self, wanted: Option<Duration>) -> Duration {
        let max = self.context.limits.wait;
        wanted.map_or(max, |wanted| wanted.min(max))
    }

    fn redacted(&self, failure: HttpFailure) -> HttpFailure {
        HttpFailure {
            message: self.context.redactor.text(&failure.message).into_owned(),
            ..failure
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<ClientKey, PooledClient>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a client without redirects, retries, proxies and decompression, with the addresses of `resolver`.
fn client(resolver: CheckedResolver, https: bool, connect: Duration) -> reqwest::Result<Client> {
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
        .dns_resolver(resolver)
        .connect_timeout(connect)
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIME);
    if https {
        builder.build()
    } else {
        builder.tls_certs_only([]).build()
    }
}
