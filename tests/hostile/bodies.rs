//! Bodies that are no JSON, and good ones with some bytes changed.

use fastrand::Rng;
use serde_json::Value;

/// What no JSON value may hold or be, whatever stands around it.
const GARBAGE: [&[u8]; 14] = [
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\0",
    b"\x1f",
    b"'",
    b"NaN",
    b"undefined",
    b"//",
    b"\\ud800",
    b"1e999",
    b"{",
    b"]",
    b"\xef\xbb\xbf",
];

/// A body that is no JSON, by how it is made; perhaps none at all.
pub fn broken(good: &Value, random: &mut Rng) -> Vec<u8> {
    let mut body = match random.bool() {
        true => good.to_string(),
        false => serde_json::to_string_pretty(good).unwrap_or_default(),
    }
    .into_bytes();
    match random.u8(0..6) {
        // A prefix of an object is none.
        0 => body.truncate(random.usize(..body.len())),
        1 => body.extend_from_slice(super::connect::pick(
            random,
            &[b"}".as_slice(), b"{}", b"x", b"\0", b",", b"]"],
        )),
        2 => {
            let garbage = super::connect::pick(random, &GARBAGE);
            return [garbage, body.as_slice()].concat();
        }
        // Inside a text: what stands there must be escaped, or is no character.
        3 => {
            let at = body
                .windows(3)
                .position(|window| window == b"\":\"")
                .map(|at| at + 3);
            let bytes: &[u8] = super::connect::pick(
                random,
                &[
                    b"\xff".as_slice(),
                    b"\n",
                    b"\0",
                    b"\\ud800",
                    b"\\x",
                    b"\\uZZ",
                    b"\xc0\xaf",
                    b"\\udc00\\ud800",
                ],
            );
            match at {
                Some(at) => drop(body.splice(at..at, bytes.iter().copied())),
                None => drop(body.pop()),
            }
        }
        4 => {
            let depth = random.usize(200..20_000);
            let open: &[u8] = if random.bool() { b"[" } else { b"{\"a\":" };
            return open.repeat(depth);
        }
        _ => {
            // The first member is given twice, the second time without its value.
            let text = String::from_utf8_lossy(&body).into_owned();
            let key = text.split('"').nth(1).unwrap_or_default();
            return text
                .replacen('{', &format!("{{\"{key}\":,"), 1)
                .into_bytes();
        }
    }
    body
}

/// A good body with one to three bytes changed, left out, doubled or swapped.
pub fn damaged(good: &Value, random: &mut Rng) -> Vec<u8> {
    let mut body = good.to_string().into_bytes();
    for _ in 0..random.usize(1..=3) {
        let at = random.usize(..body.len());
        match random.u8(0..5) {
            0 => drop(body.remove(at)),
            1 => body.insert(at, random.u8(..)),
            2 => body.insert(at, body[at]),
            3 => {
                let other = random.usize(..body.len());
                body.swap(at, other);
            }
            _ => body[at] = random.u8(b' '..=b'~'),
        }
        if body.is_empty() {
            body.push(b'{');
        }
    }
    body
}
