//! From a host name to a session that is ready for queries: sockets, SSLRequest, startup, authentication.

use super::{
    buffer::ReceiveBuffer,
    socket::Socket,
    tls::{self, SslMode, TlsFiles},
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
use std::{io, time::Duration};
use tapline_sdk::{Error, Result, Secret};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};

/// A host that does not answer within this is not there; the runtime tries again with back-off.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// TLS and password exchange together; a server that starts up answers with 57P03 long before.
const LOGIN_WAIT: Duration = Duration::from_secs(30);

/// Where the server is and who logs in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password, if it needs one.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// What TLS is wanted.
    pub ssl_mode: SslMode,
    /// TLS' files.
    pub files: TlsFiles,
    /// How the session names itself in `pg_stat_activity`.
    pub application_name: String,
}

/// What kind of session is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Statements.
    Plain,
    /// Statements and the replication commands of this database.
    Replication,
}

/// A session of which everything up to the first ReadyForQuery has been read.
pub(super) struct LoggedIn {
    pub socket: Socket,
    pub buffer: ReceiveBuffer,
    pub parameters: Vec<(String, String)>,
    pub process_id: u32,
}

/// Opens a socket and logs in.
pub(super) async fn log_in(endpoint: &Endpoint, session: Session) -> Result<LoggedIn> {
    let attempts: &[bool] = match endpoint.ssl_mode {
        SslMode::Disable => &[false],
        SslMode::Allow => &[false, true],
        SslMode::Prefer => &[true, false],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[true],
    };
    let mut first_error = None;
    for encrypted in attempts {
        match timeout(LOGIN_WAIT, attempt(endpoint, session, *encrypted)).await {
            Ok(Ok(logged_in)) => return Ok(logged_in),
            // libpq tries the other way only if pg_hba.conf has no line for this one, or TLS itself fails.
            Ok(Err(Refused { error, other_way })) => {
                let error = first_error.take().unwrap_or(error);
                if !other_way {
                    return Err(error);
                }
                first_error = Some(error);
            }
            Err(_) => {
                return Err(
                    Error::disconnected(format!("cannot log in at {}", at(endpoint)))
                        .code("TL0301")
                        .because(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
                );
            }
        }
    }
    Err(first_error.unwrap_or_else(|| protocol("no way to connect was tried")))
}

struct Refused {
    error: Error,
    other_way: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self {
            error,
            other_way: false,
        }
    }
}

async fn attempt(
    endpoint: &Endpoint,
    session: Session,
    encrypted: bool,
) -> Result<LoggedIn, Refused> {
    let tcp = open(endpoint).await?;
    let socket = if encrypted {
        encrypt(endpoint, tcp).await?
    } else {
        Socket::Plain(tcp)
    };
    let mut login = Login {
        endpoint,
        socket,
        buffer: ReceiveBuffer::default(),
    };
    login.start(session).await?;
    login.authenticate().await.map_err(|failed| match failed {
        Failed::Server(refused) => {
            let other_way = refused.sqlstate == "28000";
            let context = format!(
                "cannot log in to database `{}` at {} as `{}`",
                endpoint.database,
                at(endpoint),
                endpoint.user
            );
            Refused {
                error: refused.into_error(context),
                other_way,
            }
        }
        Failed::Other(error) => Refused {
            error,
            other_way: false,
        },
    })?;
    Ok(login.finish().await?)
}

fn at(endpoint: &Endpoint) -> String {
    format!("{}:{}", endpoint.host, endpoint.port)
}

async fn open(endpoint: &Endpoint) -> Result<TcpStream> {
    let unreachable = |error| {
        disconnected(format!("cannot reach {}", at(endpoint)), error)
            .remedy("check database.hostname and database.port, and that the server listens there")
    };
    let addresses = lookup_host((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(unreachable)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.map_err(unreachable)?;
        // A server that vanished without a word is found out by the kernel, not only by our own time limits.
        socket.set_keepalive(true).map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        match timeout(CONNECT_WAIT, socket.connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::new(io::ErrorKind::TimedOut, "no answer"),
        }
    }
    Err(unreachable(last))
}

async fn encrypt(endpoint: &Endpoint, mut tcp: TcpStream) -> Result<Socket, Refused> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let broken = |error| disconnected(format!("cannot ask {} for TLS", at(endpoint)), error);
    tcp.write_all(&request).await.map_err(broken)?;
    let answer = tcp.read_u8().await.map_err(broken)?;
    if answer != b'S' {
        if endpoint.ssl_mode == SslMode::Prefer {
            return Ok(Socket::Plain(tcp));
        }
        let error = Error::config(format!("the server at {} does not offer TLS", at(endpoint)))
            .code("TL0319")
            .remedy("set ssl = on in postgresql.conf, or lower database.sslmode");
        return Err(error.into());
    }
    // No byte may come before the handshake: it could have been slipped in by someone in between.
    let connector = tls::connector(endpoint.ssl_mode, &endpoint.files)?;
    let name = tls::server_name(&endpoint.host)?;
    let handshake = connector.connect(name, tcp).await.map_err(|error| {
        let context = format!("cannot set up TLS with {}", at(endpoint));
        if tls::is_distrust(&error) {
            Error::config(context)
                .code("TL0319")
                .remedy("check database.sslrootcert and, for verify-full, database.hostname")
                .because(error)
        } else {
            disconnected(context, error)
        }
    });
    match handshake {
        Ok(stream) => Ok(Socket::Tls(Box::new(stream))),
        Err(error) => Err(Refused {
            error,
            other_way: endpoint.ssl_mode == SslMode::Prefer,
        }),
    }
}

struct Login<'a> {
    endpoint: &'a Endpoint,
    socket: Socket,
    buffer: ReceiveBuffer,
}

enum Failed {
    Server(ServerError),
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Login<'_> {
    async fn start(&mut self, session: Session) -> Result<()> {
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

    async fn authenticate(&mut self) -> Result<(), Failed> {
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

    async fn finish(mut self) -> Result<LoggedIn> {
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
