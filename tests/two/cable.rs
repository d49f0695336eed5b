//! The cable between a machine and the server, to be cut and mended: a proxy for TCP.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the cable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    /// Connections end, and new ones do at once.
    Cut,
    /// What is sent does not arrive, nor does anybody hear of it.
    Hung,
    Gone,
}

struct Shared {
    state: Mutex<(State, Vec<TcpStream>)>,
}

pub(crate) struct Cable {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Cable {
    /// A cable to `server`, whole.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { state: Mutex::new((State::Whole, Vec::new())) });
        let laid = Arc::clone(&shared);
        std::thread::spawn(move || laid.serve(listener, server));
        Self { shared, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn cut(&self) {
        self.shared.change(State::Cut);
        self.wake();
    }

    /// Whoever waits for connections looks what has become of the cable.
    fn wake(&self) {
        TcpStream::connect(self.address).ok();
    }

    pub(crate) fn hang(&self) {
        self.shared.state.lock().expect("no panic holds it").0 = State::Hung;
    }

    pub(crate) fn mend(&self) {
        self.shared.change(State::Whole);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.change(State::Gone);
        self.wake();
    }
}

impl Shared {
    /// Takes connections while the cable is whole; cut, it refuses them.
    fn serve(self: &Arc<Self>, listener: TcpListener, server: SocketAddr) {
        let address = listener.local_addr().expect("an address");
        let mut open = Some(listener);
        loop {
            match (self.state(), &open) {
                (State::Gone, _) => return,
                (State::Cut, _) => {
                    open = None;
                    std::thread::park_timeout(Duration::from_millis(5));
                }
                (State::Whole | State::Hung, None) => open = TcpListener::bind(address).ok(),
                (State::Whole | State::Hung, Some(listener)) => {
                    if let Ok((stream, _)) = listener.accept() {
                        self.connect(stream, server);
                    }
                }
            }
        }
    }

    fn state(&self) -> State {
        self.state.lock().expect("no panic holds it").0
    }

    /// Every connection there is ends; what was held back never arrives.
    fn change(&self, to: State) {
        let mut state = self.state.lock().expect("no panic holds it");
        if state.0 == to {
            return;
        }
        state.0 = to;
        for stream in state.1.drain(..) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    fn connect(self: &Arc<Self>, near: TcpStream, server: SocketAddr) {
        let mut state = self.state.lock().expect("no panic holds it");
        if matches!(state.0, State::Cut | State::Gone) {
            return;
        }
        let Ok(far) = TcpStream::connect(server) else { return };
        for (from, to) in [(&near, &far), (&far, &near)] {
            from.set_nodelay(true).ok();
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.carry(from, to));
        }
        state.1.extend([near, far]);
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = [0; 16 << 10];
        while let Ok(read @ 1..) = from.read(&mut piece) {
            while self.state() == State::Hung {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if to.write_all(&piece[..read]).is_err() {
                break;
            }
        }
        for stream in [from, to] {
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}
