//! How much this machine receives and sends over its network, as Linux counts it.

use std::time::Instant;

use in18_record::NetworkRate;
use in18_system::proc::{NetworkBytes, network_bytes};

/// Gives the rates since the last call.
#[derive(Debug, Default)]
pub struct TrafficMeter {
    last: Option<(Instant, NetworkBytes)>,
}

impl TrafficMeter {
    /// `None` at the first call, and where the system does not count.
    pub fn rate(&mut self) -> Option<NetworkRate> {
        let now = (Instant::now(), network_bytes()?);
        let (since, before) = self.last.replace(now)?;
        let seconds = now.0.duration_since(since).as_secs_f64();
        // A counter starts anew when its interface does.
        let gbit = |now: u64, before: u64| now.saturating_sub(before) as f64 * 8e-9 / seconds;
        (seconds > 0.0).then(|| NetworkRate {
            received_gbit: gbit(now.1.received, before.received),
            sent_gbit: gbit(now.1.sent, before.sent),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reading_has_no_rate() {
        let mut meter = TrafficMeter::default();
        assert!(meter.rate().is_none());
        let rate = meter.rate().expect("Linux counts");
        assert!(rate.received_gbit >= 0.0 && rate.sent_gbit >= 0.0);
    }
}
