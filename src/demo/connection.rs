//! A connection that can be cut or slow: what a bad network does, an HTTP library never offers.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::pace::Pace;
use super::store::locked;

/// Accepts connections that can be cut.
pub(super) struct CuttableListener(pub(super) TcpListener);

/// The knife for one connection, and its brake.
#[derive(Clone, Debug, Default)]
pub(super) struct Knife(Arc<Mutex<Orders>>);

#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    cut: Cut,
    /// Bytes a second; `None` is as fast as it goes.
    speed: Option<u64>,
    /// Whether a request came this way before.
    used: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Cut {
    #[default]
    Whole,
    /// So much of the next answer's body still gets through.
    InBody(usize),
    Now,
    /// At once, and the other side hears of it.
    Reset,
}

impl Knife {
    /// Nothing more is written; the connection closes as soon as somebody tries.
    pub(super) fn cut(&self) {
        locked(&self.0).cut = Cut::Now;
    }

    /// Nothing more is written; the connection is reset as soon as somebody tries.
    pub(super) fn reset(&self) {
        locked(&self.0).cut = Cut::Reset;
    }

    /// The next answer's head and `bytes` of its body are written, then nothing more.
    pub(super) fn cut_in_body(&self, bytes: usize) {
        locked(&self.0).cut = Cut::InBody(bytes);
    }

    /// Whether this is the connection's first request: asked once a request.
    pub(super) fn is_new(&self) -> bool {
        !std::mem::replace(&mut locked(&self.0).used, true)
    }

    /// From the next answer on so many bytes a second are written.
    pub(super) fn slow(&self, speed: Option<u64>) {
        locked(&self.0).speed = speed;
    }
}

impl Listener for CuttableListener {
    type Io = Connection;
    type Addr = Knife;

    async fn accept(&mut self) -> (Connection, Knife) {
        loop {
            match self.0.accept().await {
                Ok((stream, _)) => {
                    // Answers are written whole, so waiting for more to send only adds delay.
                    if let Err(error) = stream.set_nodelay(true) {
                        log::debug!("nodelay: {error}");
                    }
                    let knife = Knife::default();
                    let (head, pace) = (Head::default(), Pace::default());
                    let connection = Connection { stream, knife: knife.clone(), head, pace };
                    return (connection, knife);
                }
                Err(error) => {
                    // Out of descriptors, most likely: others have to close first.
                    log::warn!("accept: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Knife> {
        Ok(Knife::default())
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Knife {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A TCP connection and its knife.
pub(super) struct Connection {
    stream: TcpStream,
    knife: Knife,
    head: Head,
    pace: Pace,
}

/// Where the end of an answer's head is, over several writes.
#[derive(Default)]
struct Head {
    matched: usize,
    over: bool,
}

impl Head {
    const END: &'static [u8] = b"\r\n\r\n";

    /// How many of `bytes` still belong to the head. Asked of bytes once they are written.
    fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.matched = match *byte {
                b if b == Self::END[self.matched] => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == Self::END.len() {
                self.over = true;
                self.matched = 0;
                return;
            }
        }
    }

    /// The part of `bytes` up to the end of the head.
    fn part_of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let mut trial = Self { matched: self.matched, over: false };
        for (index, byte) in bytes.iter().enumerate() {
            trial.pass(std::slice::from_ref(byte));
            if trial.over {
                return &bytes[..=index];
            }
        }
        bytes
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Orders { cut, speed, .. } = *locked(&self.knife.0);
        std::task::ready!(self.pace.poll_due(context));
        let bytes = &bytes[..bytes.len().min(Pace::piece(speed))];
        let allowed = match cut {
            Cut::Whole => bytes,
            Cut::Now => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Cut::Reset => {
                self.stream.set_zero_linger()?;
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Cut::InBody(_) if !self.head.over => self.head.part_of(bytes),
            Cut::InBody(0) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Cut::InBody(left) => &bytes[..bytes.len().min(left)],
        };
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, allowed))?;
        if let Cut::InBody(left) = cut {
            if self.head.over {
                locked(&self.knife.0).cut = Cut::InBody(left.saturating_sub(written));
            } else {
                self.head.pass(&allowed[..written]);
            }
        }
        self.pace.written(written, speed);
        Poll::Ready(Ok(written))
    }

    /// Without this, a body of 60 MB would be copied once more to be written.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let orders = *locked(&self.knife.0);
        if let Orders { cut: Cut::Whole, speed: None, .. } = orders {
            return Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        }
        let first = pieces.iter().find(|piece| !piece.is_empty()).map_or(&[][..], |piece| piece);
        self.poll_write(context, first)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
