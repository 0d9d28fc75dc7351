//! One bad request: what is sent, what was broken in it, and what the refusal has to name.

/// Whom it is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Kafka Connect's API and ours.
    Connect,
    /// The schema registry's.
    Registry,
}

/// A request, byte for byte.
#[derive(Debug, Clone)]
pub struct Request {
    pub server: Server,
    pub method: String,
    pub target: String,
    /// Beside Host, Connection and Content-Length.
    pub headers: Vec<(String, String)>,
    /// `None` sends no Content-Length either.
    pub body: Option<Vec<u8>>,
}

/// What an answer has to be.
#[derive(Debug, Clone)]
pub enum Expect {
    /// The request is good: 2xx.
    Taken,
    /// 4xx whose message names one of these.
    Refused(Vec<Place>),
    /// Both are right; why nobody can tell stands where this is made.
    Either(Vec<Place>),
}

/// Where the fault is, as a message has to name it.
#[derive(Debug, Clone)]
pub enum Place {
    /// This word: a key, a name, a header, a path.
    Word(String),
    /// `line N column M`, within the body that was sent.
    LineAndColumn,
}

/// A request with what is known of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What was done to a good request: the family of the figures.
    pub family: &'static str,
    pub request: Request,
    pub expect: Expect,
}

pub const JSON: (&str, &str) = ("Content-Type", "application/json");

impl Request {
    /// A request without a body.
    pub fn bare(server: Server, method: &str, target: &str) -> Self {
        Self {
            server,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// With a body that says that it is JSON.
    pub fn json(server: Server, method: &str, target: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::bare(server, method, target);
        request.body = Some(body.into());
        request.with(JSON.0, JSON.1)
    }

    /// With one more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Refused, naming one of these words.
    pub fn refused(self, family: &'static str, words: &[&str]) -> Case {
        let places = words.iter().map(|word| Place::Word((*word).to_owned()));
        self.expecting(family, Expect::Refused(places.collect()))
    }

    /// A case of this request.
    pub fn expecting(self, family: &'static str, expect: Expect) -> Case {
        Case {
            family,
            request: self,
            expect,
        }
    }
}

/// A word as one segment of a path.
pub fn encoded(word: &str) -> String {
    let mut text = String::new();
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
