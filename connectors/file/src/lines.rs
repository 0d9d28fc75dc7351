//! From bytes to lines, within a bounded buffer.
//!
//! Owns finding line ends and cutting lines that are too long. It looks at every byte once, however slowly a line
//! arrives, knows no file and keeps no position.

use memchr::{memchr, memchr2};
use std::io::{self, Read};

/// Bytes asked of the file at once: large enough that a read's own cost does not show, small enough for a core's cache.
const READ_BYTES: usize = 256 << 10;

/// The same at the end of a file, where most looks find nothing: a hundred files that rest hold 1 MiB, not 25.
const READ_BYTES_LEAST: usize = 8 << 10;

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// LF. A CR before it stays in the line's bytes.
    Lf,
    /// LF, CRLF or CR, as in Java.
    Java,
}

/// One line, or a piece of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// The bytes without the end.
    pub(crate) bytes: &'a [u8],
    /// The bytes with the end.
    pub(crate) taken: usize,
    /// Whether the line goes on in the next one.
    pub(crate) continued: bool,
}

/// Bytes that wait for the end of their line.
#[derive(Debug)]
pub(crate) struct Lines {
    ends: Ends,
    bytes_max: usize,
    buffer: Vec<u8>,
    /// The first byte of the next line.
    start: usize,
    /// No line ends before this.
    scanned: usize,
    /// The end of what was read.
    end: usize,
    /// Bytes that the next read asks for.
    asks: usize,
}

impl Lines {
    pub(crate) fn new(ends: Ends, bytes_max: usize) -> Self {
        Self {
            ends,
            bytes_max,
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            end: 0,
            asks: READ_BYTES_LEAST,
        }
    }

    /// Bytes that belong to no line yet.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.end - self.start
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        (self.start, self.scanned, self.end) = (0, 0, 0);
    }

    /// Reads once; 0 at the end of the file. Call it when [`Lines::next`] has nothing: what waits then is at most one
    /// line's beginning, so the buffer stays below `bytes_max` and one read.
    pub(crate) fn fill(&mut self, from: &mut impl Read) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.scanned -= self.start;
        self.start = 0;
        let size = self.end + self.asks;
        if self.buffer.len() < size {
            // Twice as much each time: a long line is not copied once per read.
            self.buffer.resize(size.max(self.end * 2), 0);
        } else if self.end == 0 && self.buffer.len() > 4 * READ_BYTES {
            // A long line has passed.
            self.buffer = vec![0; READ_BYTES];
        }
        let room = self.buffer.get_mut(self.end..size).unwrap_or_default();
        loop {
            match from.read(room) {
                Ok(read) => {
                    self.end += read;
                    self.adapt(read);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for more as long as reads bring all they ask for, and at the end of the file keeps little more than what
    /// waits.
    fn adapt(&mut self, read: usize) {
        if read == self.asks {
            self.asks = (self.asks * 4).min(READ_BYTES);
        } else if read == 0 {
            self.asks = READ_BYTES_LEAST;
            self.buffer.truncate(self.end + READ_BYTES_LEAST);
            self.buffer.shrink_to_fit();
        }
    }

    /// The next whole line, or the first piece of one that is too long.
    pub(crate) fn next(&mut self) -> Option<Line<'_>> {
        let (start, end) = (self.start, self.end);
        let unseen = self.buffer.get(self.scanned..end)?;
        let found = match self.ends {
            Ends::Lf => memchr(b'\n', unseen),
            Ends::Java => memchr2(b'\n', b'\r', unseen),
        };
        let found = found.map(|at| self.scanned + at);
        let length = found.unwrap_or(end) - start;
        if length > self.bytes_max {
            let cut = self.cut(start + self.bytes_max);
            (self.start, self.scanned) = (cut, cut.max(self.scanned));
            return Some(Line {
                bytes: self.buffer.get(start..cut)?,
                taken: cut - start,
                continued: true,
            });
        }
        let Some(at) = found else {
            self.scanned = end;
            return None;
        };
        let after = match (self.buffer.get(at), self.ends) {
            (Some(b'\r'), Ends::Java) if at + 1 == end => {
                // Whether an LF belongs to it shows in the next byte.
                self.scanned = at;
                return None;
            }
            (Some(b'\r'), Ends::Java) if self.buffer.get(at + 1) == Some(&b'\n') => at + 2,
            _ => at + 1,
        };
        (self.start, self.scanned) = (after, after);
        Some(Line {
            bytes: self.buffer.get(start..at)?,
            taken: after - start,
            continued: false,
        })
    }

    /// The last place up to `limit` where no character is torn; `limit` itself where there are no characters.
    fn cut(&self, limit: usize) -> usize {
        let torn = |at: usize| self.buffer.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
        (0..4)
            .map(|back| limit - back)
            .find(|at| !torn(*at))
            .unwrap_or(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives at most so many bytes per read.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(room.len());
            (&mut self.0).take(size as u64).read(room)
        }
    }

    fn split(ends: Ends, bytes_max: usize, bytes: &[u8], per_read: usize) -> Vec<(Vec<u8>, bool)> {
        let (mut lines, mut from) = (Lines::new(ends, bytes_max), Drip(bytes, per_read));
        let (mut found, mut taken) = (Vec::new(), 0);
        loop {
            while let Some(line) = lines.next() {
                taken += line.taken;
                found.push((line.bytes.to_vec(), line.continued));
            }
            if lines.fill(&mut from).expect("it reads") == 0 {
                assert_eq!(taken + lines.waiting_bytes(), bytes.len());
                return found;
            }
        }
    }

    fn texts(ends: Ends, bytes: &str) -> Vec<String> {
        let found = split(ends, 1 << 20, bytes.as_bytes(), 1);
        let text = |(line, _): (Vec<u8>, bool)| String::from_utf8(line).expect("UTF-8");
        found.into_iter().map(text).collect()
    }

    #[test]
    fn a_partial_last_line_waits_for_its_end() {
        assert_eq!(
            texts(Ends::Lf, "a\n\nb\r\nc\rd\nlast"),
            ["a", "", "b\r", "c\rd"]
        );
        assert_eq!(
            texts(Ends::Java, "a\n\nb\r\nc\rd\n\r\r\nlast"),
            ["a", "", "b", "c", "d", "", ""]
        );
        // A CR may yet be followed by its LF.
        assert_eq!(texts(Ends::Java, "a\r"), [""; 0]);
    }

    #[test]
    fn at_the_end_of_the_file_little_more_than_what_waits_is_kept() {
        let text = format!("{}\nwaits", "line\n".repeat(1 << 20));
        let (mut lines, mut from) = (Lines::new(Ends::Lf, 1 << 20), text.as_bytes());
        let mut most = 0;
        while lines.fill(&mut from).expect("it reads") > 0 {
            most = most.max(lines.asks);
            while lines.next().is_some() {}
        }
        assert_eq!((most, lines.waiting_bytes()), (READ_BYTES, 5));
        assert!(lines.buffer.capacity() <= 2 * READ_BYTES_LEAST);
        let mut from = &b" no more\n"[..];
        lines.fill(&mut from).expect("it reads");
        assert_eq!(lines.next().expect("a line").bytes, b"waits no more");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let found = split(
            Ends::Lf,
            16,
            "0123456789abcdeü0123456789abcdefX\n".as_bytes(),
            3,
        );
        let found: Vec<_> = found
            .iter()
            .map(|(l, c)| (std::str::from_utf8(l).expect("UTF-8"), *c))
            .collect();
        assert_eq!(
            found,
            [
                ("0123456789abcde", true),
                ("ü0123456789abcd", true),
                ("efX", false)
            ]
        );
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_bytes_arrive(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(0xC3), Just(0xBC), any::<u8>()], 0..400),
            per_read in 1_usize..50,
            java in any::<bool>(),
        ) {
            let ends = if java { Ends::Java } else { Ends::Lf };
            let whole = split(ends, 16, &bytes, usize::MAX);
            prop_assert_eq!(&split(ends, 16, &bytes, per_read), &whole);
            if !java {
                let mut joined = Vec::new();
                for (line, continued) in whole {
                    joined.extend(line);
                    if !continued { joined.push(b'\n') }
                }
                prop_assert!(bytes.starts_with(&joined), "a byte was lost or doubled");
            }
        }
    }
}
