//! Where the target is: `connection.url` in its two spellings, with user and password. Never shows the password.

use std::{collections::BTreeMap, fmt, path::PathBuf};
use tapline_sdk::{Error, Secret};
use url::Url;

/// A Postgres server's default port.
const PORT_DEFAULT: u16 = 5432;

/// Parameters of pgjdbc that change nothing here.
const INERT: &[&str] = &[
    "reWriteBatchedInserts",
    "ApplicationName",
    "application_name",
    "stringtype",
    "tcpKeepAlive",
    "prepareThreshold",
    "connectTimeout",
    "connect_timeout",
    "socketTimeout",
    "loginTimeout",
];

/// A database, and who logs in.
#[derive(Clone)]
pub struct Address {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub username: String,
    /// Its password.
    pub password: Option<Secret>,
    /// `disable` to `verify-full`.
    pub sslmode: String,
    /// File of trusted certificates.
    pub sslrootcert: Option<String>,
    /// File of our certificate.
    pub sslcert: Option<String>,
    /// File of our key.
    pub sslkey: Option<String>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}@{}:{}/{}",
            self.username, self.host, self.port, self.database
        )
    }
}

impl Address {
    /// Parses a URL; `username` and `password` override its own.
    ///
    /// # Errors
    /// What is wrong with it; never with a password in it.
    pub fn parse(
        url: &str,
        username: Option<String>,
        password: Option<Secret>,
    ) -> Result<Self, Error> {
        let text = url.strip_prefix("jdbc:").unwrap_or(url);
        let parsed = Url::parse(text).map_err(|error| wrong("is no URL").because(error))?;
        match parsed.scheme() {
            "postgres" | "postgresql" => {}
            "mysql" | "mariadb" | "sqlite" => {
                return Err(wrong(&format!(
                    "names a {} server, whose dialect is not built yet",
                    parsed.scheme()
                )));
            }
            other => return Err(wrong(&format!("has the unknown scheme `{other}`"))),
        }
        let mut parameters: BTreeMap<String, String> = parsed.query_pairs().into_owned().collect();
        for inert in INERT {
            if parameters.remove(*inert).is_some() {
                tracing::warn!(
                    parameter = inert,
                    "parameter of connection.url has no effect"
                );
            }
        }
        let mut take = |name: &str| parameters.remove(name);
        let ssl = take("ssl").is_some_and(|ssl| ssl != "false");
        let mode = if ssl { "verify-full" } else { "prefer" };
        let url_username = decoded(parsed.username())?;
        let url_password = parsed.password().map(decoded).transpose()?;
        let address = Self {
            host: host(&parsed)?,
            port: parsed.port().unwrap_or(PORT_DEFAULT),
            database: decoded(parsed.path().trim_start_matches('/'))?,
            username: username
                .or_else(|| take("user"))
                .or(Some(url_username).filter(|name| !name.is_empty()))
                .ok_or_else(|| wrong("names no user").remedy("set connection.username"))?,
            password: password
                .or_else(|| take("password").map(Secret::new))
                .or(url_password.map(Secret::new)),
            sslmode: take("sslmode").unwrap_or_else(|| mode.to_owned()),
            sslrootcert: take("sslrootcert"),
            sslcert: take("sslcert"),
            sslkey: take("sslkey"),
        };
        if let Some(unknown) = parameters.keys().next() {
            return Err(wrong(&format!("has the unknown parameter `{unknown}`")));
        }
        if address.database.is_empty() {
            return Err(wrong("names no database"));
        }
        Ok(address)
    }

    /// The files that it names: certificates, keys, and the folder of a socket.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let socket = self.host.starts_with('/').then_some(&self.host);
        let named = [&self.sslrootcert, &self.sslcert, &self.sslkey];
        let named = named.into_iter().filter_map(Option::as_ref);
        named.chain(socket).map(PathBuf::from).collect()
    }
}

fn host(url: &Url) -> Result<String, Error> {
    let host = url.host_str().unwrap_or_default();
    if host.contains(',') {
        return Err(wrong("names several hosts, which is not built yet"));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong("names no host"));
    }
    decoded(host)
}

/// Undoes percent encoding.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.extend(u8::try_from(high * 16 + low)),
            _ => return Err(wrong("has a % that is not followed by two digits")),
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))
}

fn wrong(problem: &str) -> Error {
    Error::config(format!("connection.url {problem}"))
        .code("TL0401")
        .remedy("write it as postgres://user@host:port/database or jdbc:postgresql://host:port/database")
}

#[cfg(test)]
mod tests {
    use super::Address;
    use tapline_sdk::Secret;

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(url, None, None).map_err(|error| error.chain())
    }

    #[test]
    fn both_spellings_name_the_same_server() {
        let own = parse("postgres://me:p%40ss@db:6543/shop?sslmode=require").expect("parses");
        let jdbc = "jdbc:postgresql://db:6543/shop?user=me&password=p%40ss&sslmode=require";
        let jdbc = parse(jdbc).expect("parses");
        for address in [own, jdbc] {
            assert_eq!(address.to_string(), "me@db:6543/shop");
            assert_eq!(address.password, Some(Secret::new("p@ss")));
            assert_eq!(address.sslmode, "require");
        }
    }

    #[test]
    fn keys_override_the_url() {
        let user = Some("you".to_owned());
        let address = Address::parse("postgres://me:a@db/shop", user, Some(Secret::new("b")));
        let address = address.expect("parses");
        assert_eq!(address.to_string(), "you@db:5432/shop");
        assert_eq!(address.password, Some(Secret::new("b")));
    }

    #[test]
    fn what_cannot_work_is_refused_without_showing_the_password() {
        let bad = [
            ("mysql://me:secret@db/shop", "not built yet"),
            ("sqlite:///secret", "not built yet"),
            ("http://me:secret@db/shop", "unknown scheme"),
            ("postgres://me:secret@db/", "no database"),
            ("postgres://:secret@db/shop", "no user"),
            ("postgres://me:secret@db/shop?sslmod=x", "unknown parameter"),
            ("postgres://me:secret@db:x/shop", "is no URL"),
        ];
        for (url, expected) in bad {
            let error = parse(url).err().expect("refused");
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
