//! Ranks on threads of one process. Each has a group of its own, as processes would.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use in18_comm::{C10d, Comm, CommError, Joining};
use in18_libtorch::LIBRARY;
use in18_tensor::{DType, MemoryRange};
use in18_testkit::skip::lacks;

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn joining(rank: usize, world: usize, port: u16) -> Joining {
    Joining {
        rank,
        world,
        master: "127.0.0.1".to_owned(),
        port,
        agent_prefix: None,
        interface_is_set: false,
        join_timeout: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        gpus: false,
    }
}

fn join(joining: Joining) -> Result<C10d, CommError> {
    C10d::join(joining, &mut |_| None)
}

/// Runs a function on every rank, and returns the results in the order of ranks.
fn on_ranks<T: Send>(world: usize, rank_main: impl Fn(C10d) -> T + Sync) -> Vec<T> {
    let port = free_port();
    let main = &rank_main;
    thread::scope(|scope| {
        let ranks = (0..world).map(|rank| scope.spawn(move || main(join(joining(rank, world, port)).unwrap())));
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

fn range(values: &mut [f32]) -> MemoryRange {
    // SAFETY: every test ends the exchange before it uses the values again.
    unsafe { MemoryRange::of_provider(values.as_mut_ptr().cast(), size_of_val(values), None) }
}

#[test]
fn sums_broadcasts_and_texts_reach_every_rank() {
    if lacks(LIBRARY) {
        return;
    }
    for world in [1, 2, 3] {
        on_ranks(world, |mut comm| {
            let rank = comm.rank();
            assert_eq!(comm.world(), world);
            let mut values: Vec<f32> = (0..1000).map(|i| (i * (rank + 1)) as f32).collect();
            // Two ranges of one buffer are summed at the same time.
            let (left, right) = values.split_at_mut(300);
            comm.start_sum(range(left), DType::F32).unwrap();
            comm.start_sum(range(right), DType::F32).unwrap();
            comm.finish().unwrap();
            let ranks = (1..=world).sum::<usize>();
            assert!(values.iter().enumerate().all(|(i, &value)| value == (i * ranks) as f32), "{values:?}");

            let mut parameters = vec![rank as f32 + 0.5; 7];
            comm.broadcast(range(&mut parameters)).unwrap();
            assert_eq!(parameters, [0.5; 7]);

            let mut sums = [1.0, rank as f64, 0.1];
            comm.sum(&mut sums).unwrap();
            assert_eq!(sums[..2], [world as f64, (0..world).sum::<usize>() as f64]);

            let texts = comm.gather("x".repeat(rank).as_bytes()).unwrap();
            assert_eq!(texts, (0..world).map(|rank| "x".repeat(rank).into_bytes()).collect::<Vec<_>>());
            assert_eq!(comm.gather(b"").unwrap(), vec![Vec::<u8>::new(); world]);
            comm.note("done").unwrap();
        });
    }
}

#[test]
fn sums_are_the_same_bits_on_every_rank_and_every_time() {
    if lacks(LIBRARY) {
        return;
    }
    let once = || {
        on_ranks(3, |mut comm| {
            let rank = comm.rank() as u32;
            let hash = |i: u32| (i.wrapping_mul(2_654_435_761) ^ rank.wrapping_mul(0x9e37_79b9)) as f32 / 7.0;
            let mut values: Vec<f32> = (0..100_000).map(hash).collect();
            comm.start_sum(range(&mut values), DType::F32).unwrap();
            comm.finish().unwrap();
            values.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        })
    };
    let first = once();
    assert!(first.iter().all(|rank| *rank == first[0]));
    assert_eq!(once(), first);
}

#[test]
fn a_rank_that_is_gone_is_noticed_at_once() {
    if lacks(LIBRARY) {
        return;
    }
    let found = on_ranks(2, |mut comm| {
        comm.note(&format!("at step {}", 3 + comm.rank())).unwrap();
        comm.sum(&mut [0.0]).unwrap();
        if comm.rank() == 1 {
            return None;
        }
        let start = Instant::now();
        let mut values = vec![0f32; 1 << 20];
        let error =
            comm.start_sum(range(&mut values), DType::F32).and_then(|()| comm.finish()).expect_err("nobody is there");
        Some((error, start.elapsed()))
    });
    let (error, elapsed) = found[0].as_ref().unwrap();
    assert!(matches!(error, CommError::Lost { rank: 0, .. }), "{error}");
    assert!(
        error.to_string().contains("while at step 3") && error.to_string().contains("rank 1 was last at step 4"),
        "{error}"
    );
    assert!(*elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[test]
fn a_rank_that_does_not_come_is_waited_for_so_long() {
    if lacks(LIBRARY) {
        return;
    }
    let port = free_port();
    let found: Vec<Option<CommError>> = thread::scope(|scope| {
        let ranks = [0, 1].map(|rank| {
            scope.spawn(move || {
                let timeout = Duration::from_secs(2);
                let mut comm = join(Joining { timeout, ..joining(rank, 2, port) }).unwrap();
                comm.note(&format!("at step {}", 7 - rank)).unwrap();
                if rank == 1 {
                    thread::sleep(Duration::from_secs(6));
                    return None;
                }
                Some(comm.sum(&mut [0.0]).expect_err("rank 1 sleeps"))
            })
        });
        ranks.map(|rank| rank.join().unwrap()).into()
    });
    let error = found[0].as_ref().unwrap();
    assert!(matches!(error, CommError::Timeout { rank: 0, seconds: 2, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("while at step 7") && text.contains("rank 1 was last at step 6"), "{text}");
    assert!(text.contains("--step-timeout"), "{text}");
}

#[test]
fn ranks_that_cannot_join_say_why() {
    if lacks(LIBRARY) {
        return;
    }
    struct Case {
        name: &'static str,
        joining: fn(u16) -> Joining,
        says: &'static str,
    }
    fn one(rank: usize, world: usize, port: u16) -> Joining {
        Joining { join_timeout: Duration::from_secs(1), ..joining(rank, world, port) }
    }
    let listener = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let taken = listener.local_addr().unwrap().port();
    let cases = [
        Case { name: "nobody listens", joining: |_| one(1, 2, free_port()), says: "check MASTER_ADDR and MASTER_PORT" },
        Case {
            name: "who listens is silent",
            joining: |taken| one(1, 2, taken),
            says: "does not answer as rank 0 would",
        },
        Case { name: "the port is taken", joining: |taken| one(0, 2, taken), says: "set MASTER_PORT to another" },
        Case {
            name: "the other never comes",
            joining: |_| one(0, 2, free_port()),
            says: "that all ranks were started",
        },
    ];
    for case in cases {
        let error = join((case.joining)(taken)).err().expect(case.name);
        assert!(
            matches!(error, CommError::Join { .. }) && error.to_string().contains(case.says),
            "{}: {error}",
            case.name
        );
    }
}

#[test]
fn whoever_waits_can_be_stopped() {
    if lacks(LIBRARY) {
        return;
    }
    let start = Instant::now();
    let mut told = Vec::new();
    let error = C10d::join(joining(1, 2, free_port()), &mut |waited| {
        told.push(waited);
        (told.len() == 3).then_some(15)
    });
    assert!(matches!(error, Err(CommError::Stopped { signal: 15 })));
    assert!(told.is_sorted() && start.elapsed() < Duration::from_secs(2), "{told:?}");
}

#[test]
fn ranks_of_other_worlds_are_told_so() {
    if lacks(LIBRARY) {
        return;
    }
    let port = free_port();
    thread::scope(|scope| {
        let first =
            scope.spawn(move || join(Joining { join_timeout: Duration::from_secs(3), ..joining(0, 2, port) }).err());
        let other = scope.spawn(move || join(joining(1, 3, port)).err());
        let error = other.join().unwrap().expect("it does not fit").to_string();
        assert!(error.contains("rank 0 has a world of 2, rank 1 one of 3"), "{error}");
        assert!(error.contains("check RANK and WORLD_SIZE"), "{error}");
        drop(first.join());
    });
}
