//! A receiver of webhooks for a test: it judges signatures as the scheme's own libraries do, keeps what it takes, and misbehaves on request.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A webhook that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its `webhook-id`.
    pub id: String,
    /// Its `content-type`.
    pub content_type: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// How it answers what is signed well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mood {
    /// It takes it, and answers 204.
    #[default]
    Taking,
    /// It takes nothing and never answers.
    Hanging,
    /// It takes nothing and answers this status.
    Refusing(u16),
    /// It takes nothing and sends the caller there.
    Redirecting(String),
    /// It takes it, and answers 200 with so many bytes.
    Chatty(usize),
}

#[derive(Debug, Default)]
struct State {
    secrets: Vec<String>,
    mood: Mood,
    refused: HashSet<String>,
    taken: Vec<Taken>,
    known: HashSet<String>,
    tries: HashMap<String, usize>,
    at_once: usize,
    most_at_once: usize,
    unsigned: Vec<String>,
}

/// A receiver on a loopback port. What it has taken outlives its going down, as on a disk.
#[derive(Debug)]
pub struct WebhookReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: Option<JoinHandle<()>>,
}

impl WebhookReceiver {
    /// Starts one that shares any of these secrets, each `whsec_…`.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(secrets: &[&str]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no loopback port is free")?;
        let state = State { secrets: secrets.iter().map(|&secret| secret.to_owned()).collect(), ..State::default() };
        let mut receiver = Self { address: listener.local_addr()?, state: Arc::new(Mutex::new(state)), serving: None };
        receiver.serve(listener);
        Ok(receiver)
    }

    /// Where it is: `http://127.0.0.1:<port>/hooks`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Breaks all connections and stops listening, as if it had been killed.
    pub async fn go_down(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // Until the port is free; that it was aborted is no news.
            let _ = serving.await;
        }
    }

    /// Listens on the same port again.
    ///
    /// # Errors
    /// If somebody else has taken the port.
    pub async fn come_up(&mut self) -> anyhow::Result<()> {
        self.go_down().await;
        self.serve(TcpListener::bind(self.address).await.context("the receiver's port is taken")?);
        Ok(())
    }

    /// From now on it answers so.
    pub fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// From now on it answers 500 for this id and takes nothing of it.
    pub fn refuse(&self, id: &str) {
        self.state().refused.insert(id.to_owned());
    }

    /// Takes all ids again.
    pub fn refuse_none(&self) {
        self.state().refused.clear();
    }

    /// From now on it shares these secrets.
    pub fn set_secrets(&self, secrets: &[&str]) {
        self.state().secrets = secrets.iter().map(|&secret| secret.to_owned()).collect();
    }

    /// What it has taken: each id once, in the order of arrival.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.state().taken.clone()
    }

    /// How often an id arrived, signed well, taken or not.
    #[must_use]
    pub fn tries(&self, id: &str) -> usize {
        self.state().tries.get(id).copied().unwrap_or(0)
    }

    /// How many requests were under way at once at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.state().most_at_once
    }

    /// Why requests were turned away as not signed well.
    #[must_use]
    pub fn unsigned(&self) -> Vec<String> {
        self.state().unsigned.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    fn serve(&mut self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        self.serving = Some(tokio::spawn(async move {
            // Dropped with this task, and every connection with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, Arc::clone(&state)));
                while connections.try_join_next().is_some() {}
            }
        }));
    }
}

impl Drop for WebhookReceiver {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(request, &state).await) }
    });
    // That the other side has gone is its own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> Response<Full<Bytes>> {
    let _here = Here::enter(state);
    let (head, body) = request.into_parts();
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let Ok(body) = body.collect().await else { return plain(StatusCode::BAD_REQUEST) };
    let (id, body) = (header("webhook-id"), body.to_bytes());
    let mood = {
        let mut state = locked(state);
        if let Err(fault) =
            judge(&state.secrets, &id, &header("webhook-timestamp"), &header("webhook-signature"), &body)
        {
            state.unsigned.push(format!("{id}: {fault}"));
            return plain(StatusCode::UNAUTHORIZED);
        }
        *state.tries.entry(id.clone()).or_default() += 1;
        if state.refused.contains(&id) {
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let mood = state.mood.clone();
        if matches!(mood, Mood::Taking | Mood::Chatty(_)) && state.known.insert(id.clone()) {
            state.taken.push(Taken { id, content_type: header("content-type"), body: body.to_vec() });
        }
        mood
    };
    match mood {
        Mood::Taking => plain(StatusCode::NO_CONTENT),
        Mood::Hanging => std::future::pending().await,
        Mood::Refusing(status) => plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)),
        Mood::Chatty(bytes) => Response::new(Full::from(vec![b'x'; bytes])),
        Mood::Redirecting(to) => {
            let redirect = Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header("location", to);
            redirect.body(Full::default()).unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR))
        }
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// Whether one of the signatures is one of these secrets'.
fn judge(secrets: &[String], id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> Result<(), &'static str> {
    if id.is_empty() {
        return Err("no webhook-id");
    }
    timestamp.parse::<u64>().map_err(|_| "webhook-timestamp is not in seconds")?;
    let signed = |secret: &String| {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        mac.update([id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat().as_slice());
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        signatures.split(' ').any(|signature| signature == expected)
    };
    if secrets.iter().any(signed) { Ok(()) } else { Err("no signature fits") }
}

/// A request under way.
struct Here<'a>(&'a Mutex<State>);

impl<'a> Here<'a> {
    fn enter(state: &'a Mutex<State>) -> Self {
        let mut inside = locked(state);
        inside.at_once += 1;
        inside.most_at_once = inside.most_at_once.max(inside.at_once);
        drop(inside);
        Self(state)
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        locked(self.0).at_once -= 1;
    }
}
