//! The end of a run at an accuracy, before the end of its plan. All ranks know the same results of
//! validations, so all of them end at the same epoch.

use in18_record::{EpochRecord, Event, GoalReached};

use crate::stop_at::StopAt;
use crate::trainer::Trainer;

impl Trainer<'_> {
    /// Whether an evaluation so far has reached the accuracy at which the run ends.
    pub(super) fn has_reached(&self) -> bool {
        self.progress.stop_at.is_some_and(|stop| stop.first(&self.progress.epochs).is_some())
    }

    /// Says whether the run ends because of its accuracy. Returns the accuracy if it was missed.
    pub(super) fn judge(&mut self) -> Option<StopAt> {
        let stop = self.progress.stop_at?;
        let epochs = &self.progress.epochs;
        let (event, missed) = match (stop.first(epochs), stop.nearest(epochs)) {
            (Some(&EpochRecord { epoch, hours, images_seen, top1, top5, .. }), _) => {
                let goal = stop.to_string();
                (Event::GoalReached(GoalReached { goal, epoch, hours, images_seen, top1, top5 }), None)
            }
            (None, nearest) => {
                let best = nearest.map_or_else(String::new, |epoch| {
                    format!(": the best was {:.3} % in epoch {}", stop.value(epoch), epoch.epoch)
                });
                let text = format!("the run ends without having reached {stop}{best}");
                (Event::Warning { text }, Some(stop))
            }
        };
        self.record(event);
        missed
    }
}
