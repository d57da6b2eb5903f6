//! Joins processes by c10d, PyTorch's distributed engine: a key-value store that rank 0 serves,
//! Gloo's collectives for this process's memory, and NCCL's for GPU memory.

use std::ffi::{CString, c_char, c_int, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream, ToSocketAddrs, UdpSocket};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use in18_libtorch::ranks::{self as codes, RawWork};
use in18_tensor::{DType, MemoryRange};

use crate::comm::Comm;
use crate::error::CommError;
use crate::group::{Failure, Group, c10d, call};
use crate::notes::{self, Heartbeat, key};

/// How often the thread that joins is checked.
const LOOK: Duration = Duration::from_millis(50);

/// How much longer than its limit a join is waited for, so that c10d can report the error itself.
const JOIN_MARGIN: Duration = Duration::from_secs(2);

/// How often a GPU is asked whether it has finished its sums.
const POLL: Duration = Duration::from_micros(100);

/// How long an aborted exchange on GPUs may take to end.
const GPU_PATIENCE: Duration = Duration::from_secs(5);

/// What a process needs to join the others.
#[derive(Clone, Debug)]
pub struct Joining {
    /// This process's rank, from 0.
    pub rank: usize,
    /// How many ranks there are.
    pub world: usize,
    /// The host where the key-value store is served, by name or address.
    pub master: String,
    /// The store's port.
    pub port: u16,
    /// The prefix of this group's keys if a launcher's agent serves the store; else rank 0 serves
    /// it.
    pub agent_prefix: Option<String>,
    /// Whether the environment names the network interface (`GLOO_SOCKET_IFNAME`). Otherwise it is
    /// the interface that leads to the master.
    pub interface_is_set: bool,
    /// How long ranks wait for each other at the start.
    pub join_timeout: Duration,
    /// How long an exchange may take, including the wait for slower ranks.
    pub timeout: Duration,
    /// Whether the ranks' parameters lie on GPUs, which NCCL then joins. This process's GPU must be
    /// CUDA's current device.
    pub gpus: bool,
}

/// One of several joined processes.
pub struct C10d {
    // Field order is drop order: the heartbeat's thread ends first, so that this thread leaves the
    // group.
    _heartbeat: Heartbeat,
    group: Arc<Group>,
    joining: Joining,
    /// Started sums that nobody has waited for yet.
    works: Vec<Work>,
    /// Sums that GPUs wait for, and since when the oldest of them may run.
    on_gpus: Vec<Work>,
    gpus_since: Instant,
    doing: String,
}

impl Joining {
    fn failed(&self, why: String, hint: &'static str) -> CommError {
        let &Joining { rank, world, ref master, port, .. } = self;
        CommError::Join { rank, world, master: format!("{master}:{port}"), why, hint }
    }

    /// Waits for the thread that joins the ranks, as long as joining may take.
    fn wait_for(
        &self,
        joined: &mpsc::Receiver<Result<Group, Failure>>,
        meanwhile: &mut dyn FnMut(Duration) -> Option<i32>,
    ) -> Result<Result<Group, Failure>, CommError> {
        let start = Instant::now();
        loop {
            match joined.recv_timeout(LOOK) {
                Ok(joined) => return Ok(joined),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(self.failed("the thread that joins them has ended".to_owned(), CHECK_MASTER));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            if let Some(signal) = meanwhile(start.elapsed()) {
                return Err(CommError::Stopped { signal });
            }
            if start.elapsed() > self.join_timeout + JOIN_MARGIN {
                let seconds = self.join_timeout.as_secs();
                let why = format!("not in {seconds} s: {}", probe(&self.master, self.port));
                return Err(self.failed(why, CHECK_MASTER));
            }
        }
    }
}

/// A running collective. The memory that it works on is in use until it has ended.
struct Work(*mut RawWork);

impl Work {
    fn wait(&self) -> Result<(), Failure> {
        // SAFETY: the work lives.
        call(|text, length| unsafe { c10d().work_wait(self.0, text, length) })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: a collective returned this work, and it is dropped once.
        unsafe { c10d().work_drop(self.0) };
    }
}

impl C10d {
    /// Joins the other ranks, and waits for them. Meanwhile, `meanwhile` gets the time waited so
    /// far. It may end the wait by returning a signal's number.
    ///
    /// # Errors
    /// [`CommError::Library`], [`CommError::Join`], [`CommError::Stopped`].
    pub fn join(joining: Joining, meanwhile: &mut dyn FnMut(Duration) -> Option<i32>) -> Result<Self, CommError> {
        in18_libtorch::ranks().map_err(CommError::Library)?;
        let no_text = |_| joining.failed("a zero in its name".to_owned(), CHECK_MASTER);
        let text = |text: &str| CString::new(text).map_err(no_text);
        let master = text(&joining.master)?;
        let host = match joining.interface_is_set {
            true => None,
            false => own_address(&joining.master, joining.port).map(|host| text(&host)).transpose()?,
        };
        let prefix = text(joining.agent_prefix.as_deref().unwrap_or("imagenet18"))?;
        let serves = joining.agent_prefix.is_none() && joining.rank == 0;
        let (rank, world, port) = (joining.rank as c_int, joining.world as c_int, joining.port);
        let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let (join, timeout) = (milliseconds(joining.join_timeout), milliseconds(joining.timeout));
        let (send, receive) = mpsc::channel();
        // On a thread of its own, which is left behind if it takes too long: c10d waits twice for a
        // store that cannot be reached, and forever for one that does not answer.
        thread::spawn(move || {
            let mut raw = ptr::null_mut();
            let joined = call(|text, length| {
                let host = host.as_ref().map_or(ptr::null(), |host| host.as_ptr());
                // SAFETY: the texts end with zeros and live through the call.
                unsafe {
                    let (master, prefix) = (master.as_ptr(), prefix.as_ptr());
                    c10d().group_join(
                        &mut raw, rank, world, master, port, prefix, serves, host, join, timeout, text, length,
                    )
                }
            });
            // If nobody receives the group, it is dropped and so left again.
            let _ = send.send(joined.map(|()| Group { raw, is_whole: AtomicBool::new(true) }));
        });
        let group = match joining.wait_for(&receive, meanwhile)? {
            Ok(group) => Arc::new(group),
            Err(Failure { text, .. }) => return Err(joining.failed(text.clone(), hint(&text))),
        };
        if joining.gpus {
            // SAFETY: the group lives, and these are the places of NCCL's backend and store.
            let joined = unsafe {
                let (nccl, store) = (c10d().group_nccl(group.raw), c10d().group_nccl_store(group.raw));
                in18_cuda::join_nccl(nccl, store, joining.rank, joining.world, timeout)
            };
            joined.map_err(|error| joining.failed(error.to_string(), CHECK_GPUS))?;
        }
        let (works, on_gpus, doing) = (Vec::new(), Vec::new(), "starting".to_owned());
        let heartbeat = Heartbeat::start(&group, joining.rank);
        Ok(C10d { group, joining, works, on_gpus, gpus_since: Instant::now(), doing, _heartbeat: heartbeat })
    }

    /// Starts a collective.
    fn start(
        &self,
        collective: impl FnOnce(*mut *mut RawWork, *mut c_char, usize) -> c_int,
    ) -> Result<Work, CommError> {
        let mut raw = ptr::null_mut();
        let started = call(|text, length| collective(&mut raw, text, length));
        started.map_err(|failure| self.failed(failure))?;
        Ok(Work(raw))
    }

    /// Starts a collective on the caller's memory, and waits for it.
    fn run(&self, collective: impl FnOnce(*mut *mut RawWork, *mut c_char, usize) -> c_int) -> Result<(), CommError> {
        let work = self.start(collective)?;
        let outcome = work.wait().map_err(|failure| self.failed(failure));
        if outcome.is_err() {
            self.end(&[work]);
        }
        outcome
    }

    /// Ends works that may still use their memory.
    fn end(&self, works: &[Work]) {
        // SAFETY: the works live.
        let are_over = || works.iter().all(|work| unsafe { c10d().work_is_over(work.0) });
        if are_over() {
            return;
        }
        // SAFETY: the group lives. If the abort fails, nothing is left to do but wait.
        unsafe { c10d().group_abort(self.group.raw, ptr::null_mut(), 0) };
        if self.joining.gpus {
            self.group.is_whole.store(false, Ordering::Relaxed);
        }
        let start = Instant::now();
        // A GPU's memory outlives this process's use of it, so the wait for GPUs may end early.
        while !are_over() && (!self.joining.gpus || start.elapsed() < GPU_PATIENCE) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Keeps works that the GPU waits for, to watch them.
    fn leave_to_gpus(&mut self, works: Vec<Work>) -> Result<(), CommError> {
        if self.joining.gpus {
            self.look_at_gpus()?;
            if self.on_gpus.is_empty() {
                self.gpus_since = Instant::now();
            }
            self.on_gpus.extend(works);
        }
        Ok(())
    }

    /// Removes sums that the GPU has finished.
    fn look_at_gpus(&mut self) -> Result<(), CommError> {
        while let Some(first) = self.on_gpus.first() {
            let mut is_over = false;
            // SAFETY: the work lives, and the place is valid.
            let looked = call(|text, length| unsafe { c10d().work_look(first.0, &mut is_over, text, length) });
            if let Err(failure) = looked {
                let error = self.failed(failure);
                self.end(&self.on_gpus);
                return Err(error);
            }
            if !is_over {
                break;
            }
            // Works end in the order in which they were started.
            drop(self.on_gpus.remove(0));
            self.gpus_since = Instant::now();
        }
        Ok(())
    }

    /// The error of a failed call.
    fn failed(&self, Failure { code, text: status }: Failure) -> CommError {
        let (rank, doing) = (self.joining.rank, self.doing.clone());
        match code {
            codes::TIMEOUT => {
                let seconds = self.joining.timeout.as_secs();
                let others = notes::others(&self.group, self.joining.rank, self.joining.world, true);
                CommError::Timeout { rank, doing, seconds, others }
            }
            codes::LOST => {
                // Without listening: ranks that the lost rank took along are silent, too.
                let others = notes::others(&self.group, self.joining.rank, self.joining.world, false);
                CommError::Lost { rank, doing, status, others }
            }
            _ => CommError::Engine { rank, doing, status },
        }
    }
}

impl Comm for C10d {
    fn rank(&self) -> usize {
        self.joining.rank
    }

    fn world(&self) -> usize {
        self.joining.world
    }

    fn start_sum(&mut self, range: MemoryRange, dtype: DType) -> Result<(), CommError> {
        let (data, device, count) = (range.address().cast(), device(&range), range.bytes() / dtype.bytes());
        let code = code_of(dtype);
        if count == 0 {
            return Ok(());
        }
        let group = self.group.raw;
        // SAFETY: the range is valid by `MemoryRange`'s promise, until `finish` or `drop` has seen
        // the work end.
        let work = self.start(|out, text, length| unsafe {
            c10d().group_sum(out, group, data, count, code, device, text, length)
        })?;
        self.works.push(work);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CommError> {
        let works = std::mem::take(&mut self.works);
        for work in &works {
            if let Err(failure) = work.wait() {
                let error = self.failed(failure);
                self.end(&works);
                return Err(error);
            }
        }
        self.leave_to_gpus(works)
    }

    fn watch(&mut self) -> Result<(), CommError> {
        self.look_at_gpus()?;
        if self.on_gpus.is_empty() || self.gpus_since.elapsed() < self.joining.timeout {
            return Ok(());
        }
        let error = self.failed(Failure { code: codes::TIMEOUT, text: String::new() });
        self.end(&self.on_gpus);
        Err(error)
    }

    fn settle(&mut self) -> Result<(), CommError> {
        loop {
            self.watch()?;
            if self.on_gpus.is_empty() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
    }

    fn broadcast(&mut self, range: MemoryRange) -> Result<(), CommError> {
        let (data, device, bytes) = (range.address().cast(), device(&range), range.bytes());
        let group = self.group.raw;
        if bytes == 0 {
            return Ok(());
        }
        let is_on_gpu = range.device().is_some();
        // SAFETY: the range is valid by `MemoryRange`'s promise, until the work was waited for or
        // `end` has seen its end.
        let work = self.start(|out, text, length| unsafe {
            c10d().group_broadcast(out, group, data, bytes, codes::U8, device, text, length)
        })?;
        if let Err(failure) = work.wait() {
            let error = self.failed(failure);
            self.end(&[work]);
            return Err(error);
        }
        if is_on_gpu { self.leave_to_gpus(vec![work]) } else { Ok(()) }
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), CommError> {
        if values.is_empty() {
            return Ok(());
        }
        let (data, count, group) = (values.as_mut_ptr().cast(), values.len(), self.group.raw);
        // SAFETY: the slice is borrowed until `run` returns, and the work has ended by then.
        self.run(|out, text, length| unsafe { c10d().group_sum(out, group, data, count, codes::F64, -1, text, length) })
    }

    fn gather(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, CommError> {
        let (world, rank, group) = (self.joining.world, self.joining.rank, self.group.raw);
        let mut lengths = vec![0.0; world];
        lengths[rank] = bytes.len() as f64;
        self.sum(&mut lengths)?;
        let longest = lengths.iter().fold(0.0, |longest: f64, &length| longest.max(length)) as usize;
        if longest == 0 {
            return Ok(vec![Vec::new(); world]);
        }
        let mut send = bytes.to_vec();
        send.resize(longest, 0);
        let mut received = vec![0u8; longest * world];
        let (from, to): (*mut c_void, *mut c_void) = (send.as_mut_ptr().cast(), received.as_mut_ptr().cast());
        // SAFETY: both buffers live until `run` returns, and the work has ended by then.
        self.run(|out, text, length| unsafe {
            c10d().group_gather(out, group, from, to, longest, codes::U8, text, length)
        })?;
        let parts = received.chunks_exact(longest).zip(&lengths);
        Ok(parts.map(|(part, &length)| part[..length as usize].to_vec()).collect())
    }

    fn note(&mut self, doing: &str) -> Result<(), CommError> {
        self.doing = doing.to_owned();
        self.group.note(&key(self.joining.rank), doing).map_err(|failure| self.failed(failure))
    }
}

impl Drop for C10d {
    fn drop(&mut self) {
        let works: Vec<Work> = self.works.drain(..).chain(self.on_gpus.drain(..)).collect();
        self.end(&works);
    }
}

/// The shim's number for a type.
fn code_of(dtype: DType) -> c_int {
    match dtype {
        DType::F32 => codes::F32,
        DType::Bf16 => codes::BF16,
        DType::F16 => codes::F16,
        DType::U8 | DType::I32 => panic!("gradients are floats, not {dtype}"),
    }
}

/// The shim's number for a range's device.
fn device(range: &MemoryRange) -> c_int {
    range.device().map_or(-1, |number| number as c_int)
}

/// This machine's address as the other ranks reach it: the local address on the way to the master.
fn own_address(master: &str, port: u16) -> Option<String> {
    let own = address_towards(master, port)?;
    let is_local = master == "localhost" || master.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !own.is_loopback() || is_local {
        return Some(own.to_string());
    }
    // The master's host resolves its own name to a loopback address. Other ranks reach it at its
    // address towards the outside, for which 192.0.2.1 stands: nobody has it (RFC 5737).
    address_towards("192.0.2.1", port).map(|address| address.to_string())
}

/// The local address from which packets to a host would be sent. No packet is sent.
fn address_towards(host: &str, port: u16) -> Option<IpAddr> {
    let any: [(IpAddr, u16); 2] = [(Ipv4Addr::UNSPECIFIED.into(), 0), (Ipv6Addr::UNSPECIFIED.into(), 0)];
    any.iter().find_map(|any| {
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect((host, port)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

/// Reports what listens where rank 0 should.
fn probe(master: &str, port: u16) -> String {
    let addresses = match (master, port).to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return format!("no address of that name ({error})"),
    };
    let mut found = "no address of that name".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            Ok(_) => return "who listens there does not answer as rank 0 would, or misses other ranks".to_owned(),
            Err(error) => found = format!("nobody listens there ({error})"),
        }
    }
    found
}

const CHECK_MASTER: &str = "check MASTER_ADDR and MASTER_PORT, that all ranks were started, and with several networks set \
                            GLOO_SOCKET_IFNAME";

const CHECK_GPUS: &str = "check that every rank has a GPU, and a working NCCL: NCCL_DEBUG=WARN tells more";

/// What to change if the ranks cannot join.
fn hint(text: &str) -> &'static str {
    if text.contains("EADDRINUSE") {
        "the port is in use: set MASTER_PORT to another"
    } else if text.contains("two processes") || text.contains("a world of") {
        "check RANK and WORLD_SIZE of every process"
    } else {
        CHECK_MASTER
    }
}
