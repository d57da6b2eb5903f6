//! What this machine receives and sends, as Linux counts it.

use std::fs;
use std::time::Instant;

use in18_record::NetworkRate;

/// Where Linux keeps its counters, a line an interface.
const COUNTERS: &str = "/proc/net/dev";

/// Tells the rate since it was last asked.
#[derive(Debug, Default)]
pub struct NetworkMeter {
    last: Option<(Instant, Bytes)>,
}

/// Received and sent by all interfaces but the machine's own loop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bytes {
    received: u64,
    sent: u64,
}

impl NetworkMeter {
    /// None the first time, and where the system does not count.
    pub fn rate(&mut self) -> Option<NetworkRate> {
        let now = (Instant::now(), Bytes::of(&fs::read_to_string(COUNTERS).ok()?));
        let (since, before) = self.last.replace(now)?;
        let seconds = now.0.duration_since(since).as_secs_f64();
        // Counters start anew when an interface does.
        let gbit = |now: u64, before: u64| now.saturating_sub(before) as f64 * 8e-9 / seconds;
        (seconds > 0.0).then(|| NetworkRate {
            received_gbit: gbit(now.1.received, before.received),
            sent_gbit: gbit(now.1.sent, before.sent),
        })
    }
}

impl Bytes {
    /// Of the counters' text: the first number behind an interface's name is received bytes, the ninth sent ones.
    fn of(counters: &str) -> Self {
        let mut all = Bytes::default();
        for (interface, numbers) in counters.lines().filter_map(|line| line.split_once(':')) {
            let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            if let (true, &[received, _, _, _, _, _, _, _, sent, ..]) = (interface.trim() != "lo", &numbers[..]) {
                all = Bytes { received: all.received + received, sent: all.sent + sent };
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_summed_but_for_the_loop() {
        let counters = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 7000 12 0 0 0 0 0 0 7000 12 0 0 0 0 0 0
  eth0: 1500 10 0 0 0 0 0 0  300  5 0 0 0 0 0 0
  ib0:   500  2 0 0 0 0 0 0   40  1 0 0 0 0 0 0
";
        assert_eq!(Bytes::of(counters), Bytes { received: 2000, sent: 340 });
        assert_eq!(Bytes::of(""), Bytes::default());
    }

    #[test]
    fn the_first_reading_has_no_rate() {
        let mut meter = NetworkMeter::default();
        assert!(meter.rate().is_none());
        let rate = meter.rate().expect("Linux counts");
        assert!(rate.received_gbit >= 0.0 && rate.sent_gbit >= 0.0);
    }
}
