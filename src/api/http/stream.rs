//! A body too large for memory: handed on piece by piece as it comes, from any byte of it on.

use std::io::Read as _;
use std::time::{Duration, Instant};

use reqwest::blocking::Response;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, RANGE,
};
use reqwest::{StatusCode, Url};

use super::{Http, MOST_OF_A_BODY, MOST_OF_AN_ERROR, PIECE, TRICKLE, nonsense, read, twice};
use crate::api::host::authority;
use crate::api::network::{cut_off, not_sent};
use crate::api::{ApiError, TakePiece, status};
use crate::model::RemoteFile;

impl Http {
    /// Hands the bytes of `file` from `from` on to `take`, which also gets an empty piece whenever
    /// something comes that it has already. Their length is checked, not what they are.
    pub(in crate::api) fn stream(
        &self,
        file: &RemoteFile,
        from: u64,
        take: TakePiece<'_>,
    ) -> Result<(), ApiError> {
        let url = self.raw_address(file)?;
        let host = authority(&url);
        if file.size > MOST_OF_A_BODY {
            return Err(nonsense(&host, format!("a body of {} bytes", file.size)));
        }
        let started = Instant::now();
        let result = self.pieces(&url, file, from, take);
        let (path, took) = (url.path(), started.elapsed());
        match &result {
            Ok(()) => log::debug!("GET {host}{path}: {from} to {}, {took:.0?}", file.size),
            Err(error) => log::debug!("GET {host}{path} from {from}: {error}, {took:.0?}"),
        }
        result
    }

    fn pieces(
        &self,
        url: &Url,
        file: &RemoteFile,
        from: u64,
        take: TakePiece<'_>,
    ) -> Result<(), ApiError> {
        let host = authority(url);
        let started = Instant::now();
        let within = Duration::from_secs(60 + file.size / TRICKLE);
        let mut response = self.ask_from(url, from)?;
        if from > 0 && no_such_part(&response, from) {
            response = self.ask_from(url, 0)?;
        }
        let begins = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if from > 0 && !no_such_part(&response, from) => from,
            status => {
                let headers = response.headers().clone();
                let body = read(&host, response, (0, MOST_OF_AN_ERROR), &|| {}, || false)?;
                return Err(self.raw_refusal(&host, status, &headers, &body));
            }
        };
        let length = file.size.saturating_sub(begins);
        check_head(response.headers(), length).map_err(|problem| nonsense(&host, problem))?;
        let mut take = |piece: &[u8]| {
            take(piece).map_err(|error| ApiError::local("cannot store a body", &error))
        };
        take(&[])?;
        let mut piece = vec![0; PIECE];
        let mut at = begins;
        // One byte more than there should be, so that a longer body is noticed.
        let mut rest = response.take(length + 1);
        loop {
            let count = rest.read(&mut piece).map_err(|error| {
                let error = cut_off(&host, &error);
                if matches!(error, ApiError::TimedOut { .. }) {
                    // Another request over the same connection would be as silent.
                    self.raw.fell_silent(&self.raw.lend());
                }
                error
            })?;
            if started.elapsed() > within {
                return Err(ApiError::TimedOut { host });
            }
            let end = at + count as u64;
            if end > file.size || (count == 0 && at < file.size) {
                let problem = format!("the body of blob {} has not {} bytes", file.blob, file.size);
                return Err(nonsense(&host, problem));
            }
            if count == 0 {
                return Ok(());
            }
            // What comes once more, because the server does not begin in the middle, is passed over.
            let known = usize::try_from(from.saturating_sub(at)).unwrap_or(count).min(count);
            take(piece.get(known..count).unwrap_or_default())?;
            at = end;
        }
    }

    /// Asks for the body from `from` on; not compressed, so that a length tells where it ends.
    fn ask_from(&self, url: &Url, from: u64) -> Result<Response, ApiError> {
        let host = authority(url);
        twice(&self.raw, |lent| {
            let mut request = lent.client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            request.send().map_err(|error| not_sent(&host, &error))
        })
    }
}

/// Whether a server that was asked for the bytes from `from` on gives some others, or none.
fn no_such_part(response: &Response, from: u64) -> bool {
    match response.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => true,
        StatusCode::PARTIAL_CONTENT => {
            let range = status::text(response.headers(), &CONTENT_RANGE);
            !range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
        }
        _ => false,
    }
}

/// Checks what an answer says of itself before a byte of it counts: `length` bytes are to come.
fn check_head(headers: &HeaderMap, length: u64) -> Result<(), String> {
    let declared = status::text(headers, &CONTENT_LENGTH).map(str::parse::<u64>);
    match declared {
        Some(Ok(declared)) if declared == length => Ok(()),
        Some(_) => Err(format!("a body that is not {length} bytes long")),
        // A login page without a length; raw hosts give pages out as plain text.
        None if status::text(headers, &CONTENT_TYPE)
            .is_some_and(|t| t.starts_with("text/html")) =>
        {
            Err("a page instead of a body".into())
        }
        None => Ok(()),
    }
}
