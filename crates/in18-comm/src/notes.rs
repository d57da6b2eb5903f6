//! What ranks tell each other beside their work: where they are, and that they are alive. Error
//! messages use it to name the rank that the others wait for.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::group::Group;

/// How often a rank shows that it is alive.
const BEAT: Duration = Duration::from_millis(500);

/// How long other ranks listen for a rank's heartbeat: some beats.
const LISTENING: Duration = Duration::from_millis(2_000);

/// How long to wait for a heartbeat's end. The store may no longer answer.
const PATIENCE_AT_END: Duration = Duration::from_secs(1);

/// How long a rank looks for the rank that it lost. The store does not answer if rank 0 is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// The key of a rank's note in the store.
pub fn key(rank: usize) -> String {
    format!("doing/{rank}")
}

/// The key of a rank's heartbeat in the store.
fn beat_key(rank: usize) -> String {
    format!("alive/{rank}")
}

/// Shows that this process is alive, whatever its main thread waits for, until this is dropped.
pub struct Heartbeat {
    /// Dropped to end the thread.
    stop: Option<mpsc::Sender<()>>,
    stopped: mpsc::Receiver<()>,
}

impl Heartbeat {
    /// Starts the heartbeat on a thread of its own.
    pub fn start(group: &Arc<Group>, rank: usize) -> Self {
        let ((stop, asked), (tell, stopped)) = (mpsc::channel::<()>(), mpsc::channel());
        let group = Arc::clone(group);
        thread::spawn(move || {
            let mut beats = 0u64;
            while asked.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
                beats += 1;
                if group.note(&beat_key(rank), &beats.to_string()).is_err() {
                    break;
                }
            }
            drop(group);
            let _ = tell.send(());
        });
        Heartbeat { stop: Some(stop), stopped }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.stopped.recv_timeout(PATIENCE_AT_END);
    }
}

/// Where the other ranks stand, as far as that can be found out. The ranks behind all others are to
/// blame. With `listens`, also checks which ranks are alive: a rank that hangs within an exchange
/// stands at the same place as the ranks that wait for it.
pub fn others(group: &Arc<Group>, own: usize, world: usize, listens: bool) -> String {
    let (send, receive) = mpsc::channel();
    let group = Arc::clone(group);
    // On a thread of its own, which is left behind if the store does not answer.
    thread::spawn(move || {
        let ranks = || (0..world).filter(|&rank| rank != own);
        let beats = || ranks().map(|rank| group.read(&beat_key(rank)).ok()).collect::<Option<Vec<String>>>();
        // Whether a rank's heartbeat has stopped.
        let mut silent = vec![false; world];
        if listens {
            let Some(before) = beats() else { return };
            thread::sleep(LISTENING);
            let Some(after) = beats() else { return };
            ranks().zip(before.iter().zip(&after)).for_each(|(rank, (before, after))| silent[rank] = before == after);
        }
        for rank in ranks() {
            let Ok(note) = group.read(&key(rank)) else { return };
            if send.send((rank, note, silent[rank])).is_err() {
                return;
            }
        }
    });
    let mut found = Vec::new();
    let patience = if listens { PATIENCE + LISTENING } else { PATIENCE };
    while let Ok((rank, note, is_silent)) = receive.recv_timeout(patience) {
        let note = if note.is_empty() { "starting" } else { &note };
        found.push(format!("rank {rank} was last {note}{}", if is_silent { ", and is silent" } else { "" }));
        if found.len() + 1 == world {
            break;
        }
    }
    if found.is_empty() { "rank 0 does not answer".to_owned() } else { found.join("; ") }
}
