//! What lies between a mount and its server: a network that can be slow, silent or gone.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gistfs::demo::ServerOptions;
use nix::sys::socket::{Backlog, listen};

use crate::shape::Shape;
use crate::world::{World, wait_until};

/// How the network behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// All is well.
    Fine,
    /// Nobody answers to a new connection; those that stand are silent.
    BlackHole,
    /// Connections stand, and nothing comes over them.
    Silent,
    /// Nobody listens.
    Refused,
    /// So many bytes come every tenth of a second.
    Slow(usize),
}

/// A relay whose weather changes. What is connected while it turns bad stays dead for ever.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Whether somebody listens, and what fills the queue so that nobody else gets in.
    door: Mutex<Door>,
}

struct Shared {
    to: Mutex<Option<SocketAddr>>,
    weather: Mutex<Weather>,
    /// The most bytes that each connection brings; the others wait.
    most: Mutex<Option<usize>>,
    /// Connections of an earlier age are dead.
    age: AtomicU64,
}

struct Door {
    listener: Option<Arc<TcpListener>>,
    fillers: Vec<TcpStream>,
}

impl Proxy {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            to: Mutex::default(),
            weather: Mutex::new(Weather::Fine),
            most: Mutex::default(),
            age: AtomicU64::new(0),
        });
        let listener = serve(listener, &shared);
        let door = Door { listener: Some(listener), fillers: vec![] };
        Self { address, shared, door: Mutex::new(door) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn leads_to(&self, to: SocketAddr) {
        *self.shared.to.lock().expect("a lock") = Some(to);
    }

    /// All that is connected falls silent for ever, unnoticed by either side; new connections work.
    pub(crate) fn forget_connections(&self) {
        self.shared.age.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets so many bytes of each connection pass and holds the others, until it is told `None`.
    pub(crate) fn holds(&self, most: Option<usize>) {
        *self.shared.most.lock().expect("a lock") = most;
    }

    /// Changes the weather.
    pub(crate) fn turns(&self, weather: Weather) {
        let mut door = self.door.lock().expect("a lock");
        *self.shared.weather.lock().expect("a lock") = weather;
        self.forget_connections();
        door.fillers.clear();
        match weather {
            Weather::Refused => drop(door.listener.take()),
            Weather::BlackHole => {
                let listener = door.listener.clone().expect("it listens");
                listen(&listener, Backlog::new(0).expect("a backlog")).expect("it listens");
                door.fillers = fill(self.address);
            }
            Weather::Fine | Weather::Silent | Weather::Slow(_) => {
                let listener = door
                    .listener
                    .take()
                    .unwrap_or_else(|| serve(bound_again(self.address), &self.shared));
                listen(&listener, Backlog::MAXCONN).expect("it listens");
                door.listener = Some(listener);
            }
        }
    }
}

/// Somebody's connection may have been given the port meanwhile.
fn bound_again(address: SocketAddr) -> TcpListener {
    let mut bound = None;
    wait_until("the port is free again", || {
        bound = TcpListener::bind(address).ok();
        bound.is_some()
    });
    bound.expect("it is bound")
}

/// Fills the queue of a listener that takes nobody from it: whoever comes next gets no answer.
fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let patience = Duration::from_millis(150);
    std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok()).collect()
}

/// Takes connections for as long as anybody else holds the listener.
fn serve(listener: TcpListener, shared: &Arc<Shared>) -> Arc<TcpListener> {
    listener.set_nonblocking(true).expect("a listener");
    let listener = Arc::new(listener);
    let (weak, shared) = (Arc::downgrade(&listener), Arc::clone(shared));
    thread::spawn(move || {
        while let Some(listener) = weak.upgrade() {
            let weather = *shared.weather.lock().expect("a lock");
            let taken = if weather == Weather::BlackHole { None } else { listener.accept().ok() };
            drop(listener);
            match taken {
                Some((client, _)) => {
                    client.set_nonblocking(false).expect("a connection");
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || shared.relay(client));
                }
                None => thread::park_timeout(Duration::from_millis(3)),
            }
        }
    });
    listener
}

impl Shared {
    fn relay(self: Arc<Self>, client: TcpStream) {
        let age = self.age.load(Ordering::SeqCst);
        let to = (*self.to.lock().expect("a lock")).expect("a place to lead to");
        let Ok(server) = TcpStream::connect(to) else { return };
        let copy = |stream: &TcpStream| stream.try_clone().expect("a second handle");
        let (there, back) = ((copy(&client), copy(&server)), (server, client));
        let other = Arc::clone(&self);
        thread::spawn(move || other.pass(there.0, there.1, age));
        self.pass(back.0, back.1, age);
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, age: u64) {
        from.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let mut buffer = vec![0; 64 << 10];
        let mut passed = 0;
        loop {
            let most = *self.most.lock().expect("a lock");
            let left = most.map_or(buffer.len(), |most| most.saturating_sub(passed));
            if left == 0 {
                thread::park_timeout(Duration::from_millis(3));
                continue;
            }
            let weather = *self.weather.lock().expect("a lock");
            let slow = if let Weather::Slow(bytes) = weather { Some(bytes) } else { None };
            let room = slow.unwrap_or(buffer.len()).min(left);
            match from.read(&mut buffer[..room]) {
                // What is dead says nothing, not even that it ends.
                Ok(length) if self.is_dead(age) => {
                    if length == 0 {
                        return;
                    }
                }
                Ok(length) if length > 0 && to.write_all(&buffer[..length]).is_ok() => {
                    passed += length;
                }
                Err(error) if is_timeout(&error) => {}
                Ok(_) | Err(_) => {
                    to.shutdown(Shutdown::Both).ok();
                    from.shutdown(Shutdown::Both).ok();
                    return;
                }
            }
            if slow.is_some() {
                thread::park_timeout(Duration::from_millis(100));
            }
        }
    }

    fn is_dead(&self, age: u64) -> bool {
        let silent = *self.weather.lock().expect("a lock") == Weather::Silent;
        silent || self.age.load(Ordering::SeqCst) != age
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// The way to the API and the way to the bodies.
pub(crate) struct Network {
    pub(crate) api: Proxy,
    pub(crate) raw: Proxy,
}

impl Network {
    /// Changes the weather on both ways.
    pub(crate) fn turns(&self, weather: Weather) {
        self.api.turns(weather);
        self.raw.turns(weather);
    }
}

impl World {
    /// A server that is reached through a network of ours.
    pub(crate) fn behind_a_network(options: ServerOptions) -> (Self, Network) {
        let network = Network { api: Proxy::start(), raw: Proxy::start() };
        let seen_as = Some((network.api.url(), network.raw.url()));
        let shape = Shape::of_environment().apart();
        let world = Self::shaped(ServerOptions { seen_as, ..options }, shape);
        let [api, raw] = world.server.addresses();
        network.api.leads_to(api);
        network.raw.leads_to(raw);
        (world, network)
    }
}
