//! A file of users, line by line. No line takes more memory than a line may have.

use std::collections::HashMap;
use std::io;

use coupon_grpc::server::MAX_STREAM_MESSAGE;
use coupon_proto::v1 as pb;
use prost::Message as _;
use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// A user of 4 KiB, however it is written.
const MAX_LINE: usize = 64 * 1024;

/// What a line is.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    User(pb::User),
    Empty,
    /// Not a user, and why.
    Unreadable(String),
}

/// A user as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

/// See the module.
pub(super) struct Lines<R> {
    reader: R,
    /// Of the line that was read last.
    number: u64,
    bytes: u64,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(super) fn of(reader: R) -> Self {
        Self { reader, number: 0, bytes: 0 }
    }

    /// How far the file has been read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line with its number, from 1 on; none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<(u64, Line)>> {
        let mut line = Vec::new();
        let read = (&mut self.reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).await?;
        self.bytes += read as u64;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = if read == MAX_LINE && !line.ends_with(b"\n") {
            self.skip_line().await?;
            Line::Unreadable(format!("is longer than {MAX_LINE} bytes"))
        } else {
            parse(&line)
        };
        Ok(Some((self.number, line)))
    }

    /// Goes behind the end of the line.
    async fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let some = self.reader.fill_buf().await?;
            let end = some.iter().position(|byte| *byte == b'\n');
            let passed = end.map_or(some.len(), |end| end + 1);
            self.reader.consume(passed);
            self.bytes += passed as u64;
            if end.is_some() || passed == 0 {
                return Ok(());
            }
        }
    }
}

fn parse(line: &[u8]) -> Line {
    if line.trim_ascii().is_empty() {
        return Line::Empty;
    }
    let Raw { id, name, metadata } = match serde_json::from_slice(line) {
        Ok(raw) => raw,
        Err(error) => return Line::Unreadable(said(&error)),
    };
    let user = pb::User { id, name, metadata, created_at: None };
    let message = pb::CreateUsersRequest { user: Some(user) };
    // A message that is too large would end the stream for all others.
    match message.user {
        Some(user) if user.encoded_len() <= MAX_STREAM_MESSAGE => Line::User(user),
        _ => Line::Unreadable(format!("is a user of more than {MAX_STREAM_MESSAGE} bytes")),
    }
}

/// Without the place that serde names: each line is its first.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("is not a user: {what} at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8]) -> Vec<(u64, Line)> {
        let (mut lines, mut read) = (Lines::of(text), Vec::new());
        while let Some(line) = lines.next().await.expect("bytes in memory") {
            read.push(line);
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        read
    }

    fn user(id: &str) -> Line {
        Line::User(pb::User { id: id.to_owned(), ..Default::default() })
    }

    #[tokio::test]
    async fn lines_have_their_numbers_whatever_stands_between() {
        let read = read(b"{\"id\":\"ada\"}\n\n  \r\n{\"id\":\"bob\"}\r\n{\"id\":\"cy\"}").await;
        assert_eq!(read, [(1, user("ada")), (2, Line::Empty), (3, Line::Empty), (4, user("bob")), (5, user("cy"))]);
    }

    #[tokio::test]
    async fn what_is_no_user_is_unreadable_and_the_next_line_is_read() {
        for (bad, why) in [
            (&b"{\"id\":7}"[..], "is not a user: invalid type: integer `7`, expected a string at column 7"),
            (b"{\"name\":\"Ada\"}", "is not a user: missing field `id` at column 14"),
            (
                b"{\"id\":\"ada\",\"nmae\":\"\"}",
                "is not a user: unknown field `nmae`, expected one of `id`, `name`, `metadata` at column 18",
            ),
            (b"ada", "is not a user: expected value at column 1"),
            (b"{\"id\":\"\xff\"}", "is not a user: invalid unicode code point at column 8"),
        ] {
            let read = read(&[bad, b"\n{\"id\":\"bob\"}"].concat()).await;
            assert_eq!(read, [(1, Line::Unreadable(why.to_owned())), (2, user("bob"))]);
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over_without_being_kept() {
        let read =
            read(&[&[b'x'; 3 * MAX_LINE + 5][..], b"\n{\"id\":\"bob\"}\n", &[b'y'; MAX_LINE + 1]].concat()).await;
        let too_long = || Line::Unreadable("is longer than 65536 bytes".to_owned());
        assert_eq!(read, [(1, too_long()), (2, user("bob")), (3, too_long())]);
    }

    #[tokio::test]
    async fn a_user_who_would_break_the_stream_is_not_sent() {
        let large = format!("{{\"id\":\"ada\",\"name\":\"{}\"}}", "x".repeat(MAX_STREAM_MESSAGE));
        let read = read(large.as_bytes()).await;
        assert_eq!(read, [(1, Line::Unreadable("is a user of more than 4096 bytes".to_owned()))]);
    }
}
