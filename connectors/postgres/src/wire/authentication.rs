//! The startup message and the answers to what the server asks: SCRAM with and without channel binding, MD5, clear text.
//!
//! Owns the password's only use. It is in no error.

use super::{
    buffer::ReceiveBuffer,
    endpoint::{Endpoint, LoggedIn, Session, at},
    socket::Socket,
    tls,
};
use crate::{
    error::{ServerError, disconnected, protocol},
    types::SESSION_SETTINGS,
};
use bytes::BytesMut;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256},
    },
    message::frontend,
};
use std::io;
use tapline_sdk::{Error, Result, Secret};
use tokio::io::AsyncWriteExt;

/// A session that is logging in.
pub(super) struct Login<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) socket: Socket,
    pub(super) buffer: ReceiveBuffer,
}

/// Why a login failed.
pub(super) enum Failed {
    /// The server said no.
    Server(ServerError),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Login<'_> {
    /// Sends the startup message.
    pub(super) async fn start(&mut self, session: Session) -> Result<()> {
        let mut parameters = vec![
            ("user", self.endpoint.user.as_str()),
            ("database", self.endpoint.database.as_str()),
            ("application_name", self.endpoint.application_name.as_str()),
            // A role's or database's time limits must not end a snapshot or a stream.
            ("statement_timeout", "0"),
            ("lock_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("idle_session_timeout", "0"),
        ];
        // Text must come in one form from every session, snapshot or stream.
        parameters.extend_from_slice(SESSION_SETTINGS);
        if session == Session::Replication {
            parameters.push(("replication", "database"));
        }
        let mut startup = BytesMut::new();
        frontend::startup_message(parameters, &mut startup).map_err(|error| {
            Error::config("a setting holds a zero byte")
                .code("TL0302")
                .because(error)
        })?;
        self.send(&startup).await
    }

    /// Answers what the server asks until it is content.
    pub(super) async fn authenticate(&mut self) -> Result<(), Failed> {
        loop {
            let (tag, body) = self.receive().await?;
            match tag {
                b'E' => return Err(Failed::Server(ServerError::parse(&body))),
                b'R' => {}
                // NegotiateProtocolVersion and notices need no answer.
                b'v' | b'N' => continue,
                _ => {
                    return Err(protocol("the server answered a login with another message").into());
                }
            }
            let (kind, rest) = body
                .split_first_chunk::<4>()
                .ok_or_else(|| protocol("the server's authentication request is cut short"))?;
            match u32::from_be_bytes(*kind) {
                0 => return Ok(()),
                3 => {
                    let password = self.password()?.expose().as_bytes().to_vec();
                    self.send_password(&password).await?;
                }
                5 => {
                    let salt = rest
                        .first_chunk::<4>()
                        .ok_or_else(|| protocol("the server's salt is cut short"))?;
                    let secret = self.password()?.expose().as_bytes().to_vec();
                    let hash = md5_hash(self.endpoint.user.as_bytes(), &secret, *salt);
                    self.send_password(hash.as_bytes()).await?;
                }
                10 => self.scram(rest).await?,
                other => {
                    let error =
                        Error::config(format!("the server asks for authentication method {other}"))
                            .code("TL0302")
                            .remedy("use scram-sha-256, md5, password or cert in pg_hba.conf");
                    return Err(error.into());
                }
            }
        }
    }

    async fn scram(&mut self, mechanisms: &[u8]) -> Result<(), Failed> {
        let offered = |name: &str| {
            mechanisms
                .split(|byte| *byte == 0)
                .any(|offer| offer == name.as_bytes())
        };
        let end_point = self.end_point();
        let (binding, mechanism) = match end_point {
            Some(hash) if offered(SCRAM_SHA_256_PLUS) => (
                ChannelBinding::tls_server_end_point(hash),
                SCRAM_SHA_256_PLUS,
            ),
            Some(_) => (ChannelBinding::unrequested(), SCRAM_SHA_256),
            None => (ChannelBinding::unsupported(), SCRAM_SHA_256),
        };
        if !offered(mechanism) {
            let error = Error::config("the server offers no SASL mechanism that is known here")
                .code("TL0302");
            return Err(error.into());
        }
        let mut scram = ScramSha256::new(self.password()?.expose().as_bytes(), binding);
        let mut message = BytesMut::new();
        let encode = |error| protocol("cannot answer the server's SASL request").because(error);
        frontend::sasl_initial_response(mechanism, scram.message(), &mut message)
            .map_err(encode)?;
        self.send(&message).await?;
        let first = self.sasl(11).await?;
        let refused = |error: io::Error| {
            Error::config("the server's SCRAM answer is wrong: it does not know the password")
                .code("TL0302")
                .remedy("make sure that this is the server you mean: one that knows its users can prove it")
                .because(error)
        };
        scram.update(&first).map_err(refused)?;
        message.clear();
        frontend::sasl_response(scram.message(), &mut message).map_err(encode)?;
        self.send(&message).await?;
        let last = self.sasl(12).await?;
        scram.finish(&last).map_err(refused)?;
        Ok(())
    }

    async fn sasl(&mut self, step: u32) -> Result<Vec<u8>, Failed> {
        let (tag, body) = self.receive().await?;
        match (tag, body.split_first_chunk::<4>()) {
            (b'E', _) => Err(Failed::Server(ServerError::parse(&body))),
            (b'R', Some((kind, rest))) if u32::from_be_bytes(*kind) == step => Ok(rest.to_vec()),
            _ => Err(protocol("the server left the SASL exchange").into()),
        }
    }

    fn end_point(&self) -> Option<Vec<u8>> {
        let Socket::Tls(stream) = &self.socket else {
            return None;
        };
        let (_, session) = stream.get_ref();
        session
            .peer_certificates()?
            .first()
            .and_then(tls::end_point_hash)
    }

    fn password(&self) -> Result<&Secret> {
        self.endpoint.password.as_ref().ok_or_else(|| {
            Error::config(format!(
                "the server wants a password for `{}`",
                self.endpoint.user
            ))
            .code("TL0302")
            .remedy("set database.password")
        })
    }

    async fn send_password(&mut self, password: &[u8]) -> Result<()> {
        let mut message = BytesMut::new();
        frontend::password_message(password, &mut message)
            .map_err(|_| Error::config("database.password holds a zero byte").code("TL0302"))?;
        self.send(&message).await
    }

    /// Reads up to the first ReadyForQuery.
    pub(super) async fn finish(mut self) -> Result<LoggedIn> {
        let mut parameters = Vec::new();
        let mut process_id = 0;
        loop {
            let (tag, body) = self.receive().await?;
            match tag {
                b'Z' => break,
                b'S' => {
                    let mut texts = body
                        .split(|byte| *byte == 0)
                        .map(|text| String::from_utf8_lossy(text).into_owned());
                    if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
                        parameters.push((name, value));
                    }
                }
                b'K' => process_id = body.first_chunk().map_or(0, |id| u32::from_be_bytes(*id)),
                b'E' => {
                    let context = format!("cannot start a session at {}", at(self.endpoint));
                    return Err(ServerError::parse(&body).into_error(context));
                }
                _ => {}
            }
        }
        Ok(LoggedIn {
            socket: self.socket,
            buffer: self.buffer,
            parameters,
            process_id,
        })
    }

    async fn send(&mut self, message: &[u8]) -> Result<()> {
        let context = || format!("cannot log in at {}", at(self.endpoint));
        self.socket
            .write_all(message)
            .await
            .map_err(|error| disconnected(context(), error))?;
        self.socket
            .flush()
            .await
            .map_err(|error| disconnected(context(), error))
    }

    async fn receive(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some((message, total)) = self.buffer.peek()? {
                let owned = (message.tag, message.body.to_vec());
                self.buffer.consume(total);
                return Ok(owned);
            }
            if self.buffer.fill(&mut self.socket).await? == 0 {
                let error = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server closed the connection",
                );
                return Err(disconnected(
                    format!("cannot log in at {}", at(self.endpoint)),
                    error,
                ));
            }
        }
    }
}
