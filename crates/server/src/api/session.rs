//! Sessions: a program on a host, its standard streams carried by a WebSocket.
//!
//! The client's first message is a text: the [`Start`] as JSON. After it
//!
//! - binary messages carry bytes; their first byte names the stream: 0 standard input (client to
//!   server), 1 standard output, 2 standard error;
//! - text messages are JSON objects: from the client `{"credit": N}` (N bytes of output more can be
//!   taken), `{"eof": true}` and `{"signal": N}`; from the server `{"credit": N}` (N bytes of input
//!   more can be taken), and at the end `{"exit": {"code": N, "message": …}}` or
//!   `{"error": "…"}`.
//!
//! Both directions are bounded by credit; overdrawing it ends the session. A WebSocket that closes
//! early hangs the program up.

use axum::extract::ws::{Message, WebSocket};
use netarium_world::{Input, Output, Stream};
use serde::{Deserialize, Serialize};

use crate::runner::{Port, WorldHandle};

/// Stream numbers of binary messages.
pub const STDIN: u8 = 0;
/// Standard output.
pub const STDOUT: u8 = 1;
/// Standard error.
pub const STDERR: u8 = 2;

/// How long a client may take to close after the end.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(5);

/// What a session's first message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The host to run on.
    pub host: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Whether standard input will come.
    #[serde(default)]
    pub stdin: bool,
    /// Bytes of output that the client can take at first.
    pub credit: u32,
}

/// A client's text message after the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum FromClient {
    /// More output can be taken.
    Credit(u32),
    /// Standard input is at its end.
    Eof(bool),
    /// A signal for the program.
    Signal(u8),
}

/// A server's text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromServer {
    /// More input can be taken.
    Credit(u32),
    /// The program ended.
    Exit {
        /// Its exit code.
        code: i32,
        /// What to tell about the end.
        message: Option<String>,
    },
    /// The session did not start, or broke.
    Error(String),
}

/// Runs a session until either side ends it.
pub(super) async fn run(mut socket: WebSocket, world: WorldHandle) {
    let last = match start(&mut socket, &world).await {
        Ok(mut port) => converse(&mut socket, &mut port).await,
        Err(last) => last,
    };
    if let Some(last) = last {
        let _ = socket.send(text(&last)).await;
    }
    let _ = socket.send(Message::Close(None)).await;
    // Closing with unread messages resets the connection and takes the last words with it.
    let drained = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = tokio::time::timeout(FAREWELL, drained).await;
}

async fn start(socket: &mut WebSocket, world: &WorldHandle) -> Result<Port, Option<FromServer>> {
    let error = |why: String| Some(FromServer::Error(why));
    let first = loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => break text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(_)) => return Err(error("the first message must be a text".to_owned())),
            Some(Err(_)) | None => return Err(None),
        }
    };
    let start: Start = serde_json::from_str(&first).map_err(|e| error(e.to_string()))?;
    let Start { host, argv, stdin, credit } = start;
    world
        .open(|port| Input::Exec { port, host, argv, stdin, credit })
        .map_err(|ended| error(ended.to_string()))
}

/// Carries messages both ways; the answer is what to tell the client last.
async fn converse(socket: &mut WebSocket, port: &mut Port) -> Option<FromServer> {
    loop {
        tokio::select! {
            biased;
            output = port.next() => match output {
                None => return Some(FromServer::Error("the lab has ended".to_owned())),
                Some(Output::Exit { code, message, .. }) => {
                    return Some(FromServer::Exit { code, message });
                }
                Some(Output::Reset { reason, .. }) => return Some(FromServer::Error(reason)),
                Some(output) => {
                    if let Some(message) = outgoing(output) {
                        socket.send(message).await.ok()?;
                    }
                }
            },
            message = socket.recv() => match message {
                Some(Ok(message)) => if let Err(why) = incoming(message, port) {
                    return Some(FromServer::Error(why));
                },
                Some(Err(_)) | None => return None,
            },
        }
    }
}

fn outgoing(output: Output) -> Option<Message> {
    match output {
        Output::Accepted { credit, .. } | Output::Credit { bytes: credit, .. } => {
            Some(text(&FromServer::Credit(credit)))
        }
        Output::Data { stream, bytes, .. } => {
            let mut message = Vec::with_capacity(bytes.len() + 1);
            message.push(if stream == Stream::Stderr { STDERR } else { STDOUT });
            message.extend_from_slice(&bytes);
            Some(Message::Binary(message.into()))
        }
        _ => None,
    }
}

fn incoming(message: Message, port: &Port) -> Result<(), String> {
    match message {
        Message::Binary(bytes) => match bytes.split_first() {
            Some((&STDIN, data)) => port.data(data.to_vec()),
            _ => return Err("a binary message must begin with the byte 0".to_owned()),
        },
        Message::Text(text) => match serde_json::from_str(&text).map_err(|e| e.to_string())? {
            FromClient::Credit(bytes) => port.credit(bytes),
            FromClient::Eof(true) => port.eof(),
            FromClient::Eof(false) => {}
            FromClient::Signal(signal) => port.signal(signal),
        },
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) => {}
    }
    Ok(())
}

fn text(message: &FromServer) -> Message {
    // Plain data always becomes JSON.
    Message::Text(serde_json::to_string(message).unwrap_or_default().into())
}
