//! The control API from the other side: what commands use to talk to a running lab.

use std::io;
use std::net::Ipv4Addr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
pub use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::api::session::{FromClient, FromServer, STDERR, STDIN, STDOUT, Start};
use crate::runtime_file::RuntimeInfo;

/// The largest answer that is read as a whole.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// The sizes of a pcapng block.
const BLOCK_MIN: usize = 12;
const BLOCK_MAX: usize = 16 * 1024 * 1024;

/// Why a running lab could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error("the lab `{name}` does not answer: {error}")]
    Unreachable {
        /// The lab.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// The API said no.
    #[error("{message}")]
    Refused {
        /// The status.
        status: u16,
        /// Why.
        message: String,
    },
    /// The connection broke.
    #[error("the connection to the lab broke: {0}")]
    Broken(String),
}

/// A running lab.
#[derive(Clone, Debug)]
pub struct Client {
    info: RuntimeInfo,
}

/// What a session says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// More input can be taken.
    Credit(u32),
    /// Standard output.
    Stdout(Bytes),
    /// Standard error.
    Stderr(Bytes),
    /// The program ended.
    Exit {
        /// Its exit code.
        code: i32,
        /// What to tell about the end.
        message: Option<String>,
    },
}

impl Client {
    /// The lab that this file is about.
    pub fn new(info: RuntimeInfo) -> Client {
        Client { info }
    }

    /// Asks for `path` (`/api/v1/…`) and reads the whole answer.
    ///
    /// # Errors
    /// See [`ClientError`]; also an answer of more than 64 MiB.
    pub async fn get(&self, path: &str) -> Result<Bytes, ClientError> {
        self.stream(path).await?.whole().await
    }

    /// Sends a request with a JSON body, or none, and reads the whole answer.
    ///
    /// # Errors
    /// See [`ClientError`]; also an answer of more than 64 MiB.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl serde::Serialize>,
    ) -> Result<Bytes, ClientError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|e| ClientError::Broken(e.to_string()))?.unwrap_or_default();
        self.exchange(method, path, body.into()).await?.whole().await
    }

    /// Like [`send`](Client::send), for a JSON answer.
    ///
    /// # Errors
    /// See [`ClientError`]; also an answer of another form.
    pub async fn call<A: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl serde::Serialize>,
    ) -> Result<A, ClientError> {
        let whole = self.send(method, path, body).await?;
        serde_json::from_slice(&whole).map_err(|e| ClientError::Broken(e.to_string()))
    }

    /// Asks for `path` and reads the answer piece by piece.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stream(&self, path: &str) -> Result<Streaming, ClientError> {
        self.exchange(Method::GET, path, Bytes::new()).await
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Streaming, ClientError> {
        let io = TokioIo::new(self.connect().await?);
        let broken = |e: hyper::Error| ClientError::Broken(e.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(io).await.map_err(broken)?;
        tokio::spawn(connection);
        let request = self
            .request(path)
            .method(method)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body));
        let request = request.map_err(|e| ClientError::Broken(e.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            let body = http_body_util::Limited::new(response.into_body(), 64 * 1024);
            let body = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
            return Err(refused(status, &body));
        }
        Ok(Streaming { body: response.into_body() })
    }

    /// Starts a program on a host.
    ///
    /// # Errors
    /// See [`ClientError`]; a host or program that does not exist is told by the session.
    pub async fn exec(&self, start: &Start) -> Result<Session, ClientError> {
        let stream = self.connect().await?;
        // The WebSocket library wants to know the scheme; it sends the path alone.
        let url = format!("ws://127.0.0.1:{}/api/v1/exec", self.info.port);
        let request = self
            .request(&url)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", tungstenite::handshake::client::generate_key())
            .body(())
            .map_err(|e| ClientError::Broken(e.to_string()))?;
        let (mut socket, _) =
            tokio_tungstenite::client_async(request, stream).await.map_err(|e| match e {
                tungstenite::Error::Http(response) => {
                    refused(response.status(), response.body().as_deref().unwrap_or_default())
                }
                e => ClientError::Broken(e.to_string()),
            })?;
        send_json(&mut socket, start).await?;
        Ok(Session { socket })
    }

    async fn connect(&self) -> Result<TcpStream, ClientError> {
        let name = || self.info.name.clone();
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.info.port))
            .await
            .map_err(|error| ClientError::Unreachable { name: name(), error })?;
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    fn request(&self, path: &str) -> http::request::Builder {
        Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(HOST, format!("127.0.0.1:{}", self.info.port))
            .header(AUTHORIZATION, format!("Bearer {}", self.info.token))
    }
}

fn refused(status: StatusCode, body: &[u8]) -> ClientError {
    #[derive(serde::Deserialize)]
    struct Said {
        error: String,
    }
    let message = serde_json::from_slice::<Said>(body)
        .map_or_else(|_| format!("the lab answered {status}"), |said| said.error);
    ClientError::Refused { status: status.as_u16(), message }
}

/// An answer that comes piece by piece.
#[derive(Debug)]
pub struct Streaming {
    body: Incoming,
}

/// Cuts a pcapng stream into whole blocks, so that a file is complete wherever the stream ends.
#[derive(Debug, Default)]
pub struct WholeBlocks {
    held: Vec<u8>,
}

impl WholeBlocks {
    /// Adds a piece of the stream and gives the blocks that are complete now.
    ///
    /// # Errors
    /// When it is no pcapng stream in little-endian order, which is what the API sends.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.held.extend_from_slice(piece);
        let mut whole = 0;
        while let Some(length) = self.held.get(whole + 4..whole + 8) {
            let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
            if !(BLOCK_MIN..=BLOCK_MAX).contains(&length) {
                return Err(ClientError::Broken("this is not a capture".to_owned()));
            }
            if self.held.len() < whole + length {
                break;
            }
            whole += length;
        }
        let rest = self.held.split_off(whole);
        Ok(std::mem::replace(&mut self.held, rest))
    }
}

impl Streaming {
    /// All of it.
    async fn whole(self) -> Result<Bytes, ClientError> {
        let whole = http_body_util::Limited::new(self.body, ANSWER_MAX).collect().await;
        whole.map(|w| w.to_bytes()).map_err(|e| ClientError::Broken(e.to_string()))
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(e)) => return Err(ClientError::Broken(e.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// A program that runs on a lab host.
#[derive(Debug)]
pub struct Session {
    socket: WebSocketStream<TcpStream>,
}

impl Session {
    /// What the program says next.
    ///
    /// # Errors
    /// When the session did not start, or broke.
    pub async fn next(&mut self) -> Result<SessionEvent, ClientError> {
        loop {
            let message = self.socket.next().await;
            let message = message.ok_or_else(|| ClientError::Broken("closed".to_owned()))?;
            match message.map_err(|e| ClientError::Broken(e.to_string()))? {
                Message::Binary(bytes) if bytes.first() == Some(&STDOUT) => {
                    return Ok(SessionEvent::Stdout(bytes.slice(1..)));
                }
                Message::Binary(bytes) if bytes.first() == Some(&STDERR) => {
                    return Ok(SessionEvent::Stderr(bytes.slice(1..)));
                }
                Message::Text(text) => return from_text(&text),
                Message::Close(_) => return Err(ClientError::Broken("closed".to_owned())),
                _ => {}
            }
        }
    }

    /// Sends standard input; the caller keeps within the credit.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn input(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut message = Vec::with_capacity(bytes.len() + 1);
        message.push(STDIN);
        message.extend_from_slice(bytes);
        send(&mut self.socket, Message::Binary(message.into())).await
    }

    /// Says something else: credit, the end of the input, a signal.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn say(&mut self, message: &FromClient) -> Result<(), ClientError> {
        send_json(&mut self.socket, message).await
    }
}

fn from_text(text: &str) -> Result<SessionEvent, ClientError> {
    match serde_json::from_str(text) {
        Ok(FromServer::Credit(bytes)) => Ok(SessionEvent::Credit(bytes)),
        Ok(FromServer::Exit { code, message }) => Ok(SessionEvent::Exit { code, message }),
        Ok(FromServer::Error(message)) => Err(ClientError::Refused { status: 200, message }),
        Err(e) => Err(ClientError::Broken(e.to_string())),
    }
}

async fn send_json<T: serde::Serialize>(
    socket: &mut WebSocketStream<TcpStream>,
    message: &T,
) -> Result<(), ClientError> {
    let text = serde_json::to_string(message).map_err(|e| ClientError::Broken(e.to_string()))?;
    send(socket, Message::Text(text.into())).await
}

async fn send(
    socket: &mut WebSocketStream<TcpStream>,
    message: Message,
) -> Result<(), ClientError> {
    socket.send(message).await.map_err(|e| ClientError::Broken(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_that_is_cut_anywhere_keeps_its_whole_blocks() {
        let block = |n: u32| {
            let mut b = vec![0xaa; n as usize];
            b[4..8].copy_from_slice(&n.to_le_bytes());
            b
        };
        let stream: Vec<u8> = [12, 40, 12, 100].into_iter().flat_map(block).collect();
        for cut in 0..=stream.len() {
            for size in [1, 7, 200] {
                let mut blocks = WholeBlocks::default();
                let written: Vec<u8> =
                    stream[..cut].chunks(size).flat_map(|c| blocks.push(c).unwrap()).collect();
                let whole = [0, 12, 52, 64, 164].into_iter().rfind(|&n| n <= cut).unwrap();
                assert_eq!(written, stream[..whole], "cut at {cut}, pieces of {size}");
            }
        }
        assert!(WholeBlocks::default().push(&[0; 8]).is_err());
    }
}
