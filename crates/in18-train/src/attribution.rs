//! Says in one sentence why training waited for images, and what would help.

use in18_loader::StageTimes;

/// If training waits for less than this share of its time, images do not slow it down.
const BOUND: f64 = 0.05;

/// If images have more than this many times the pixels of the batch's images, smaller copies would
/// cost less to decode.
const LARGE: f64 = 2.5;

/// What is known of an epoch's training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch<'a> {
    /// Counted from 0.
    pub number: usize,
    /// Seconds of all steps.
    pub train_seconds: f64,
    /// Seconds of the steps that were spent waiting for images.
    pub data_seconds: f64,
    /// Where the loader's time went.
    pub times: StageTimes,
    /// Loader threads.
    pub workers: usize,
    /// Cores of the machine.
    pub cores: usize,
    /// Side of the images in a batch, pixels.
    pub size: usize,
    /// The data path, without a phase's suffix.
    pub data: &'a str,
}

/// Why an epoch waited for its images and what would help; `None` if it hardly waited.
pub(crate) fn advice(epoch: &Epoch<'_>) -> Option<String> {
    let Epoch { number, train_seconds, data_seconds, times, workers, cores, size, data } = *epoch;
    let waited = data_seconds / train_seconds;
    let busy = times.busy().as_secs_f64();
    // False also if there are no numbers.
    let is_bound = waited >= BOUND && busy > 0.0 && times.images > 0;
    if !is_bound {
        return None;
    }
    let read = times.read.as_secs_f64() / busy;
    let side = (times.pixels as f64 / times.images as f64).sqrt();
    // The short side that prepared images need: a quarter more than the batch's, as in the
    // published schedules.
    let enough = size * 5 / 4;
    let remedy = if read > 0.5 {
        format!(
            "the loader spent {:.0} % of its work reading: keep the images on a faster disk, or pack smaller copies of them with \
             `imagenet18 data prepare {data} DST --sizes {enough}`",
            100.0 * read
        )
    } else if side * side > LARGE * (size * size) as f64 {
        format!(
            "its images have {side:.0} x {side:.0} pixels on average where {enough} of the short side do: prepare smaller ones with \
             `imagenet18 data prepare {data} DST --sizes {enough}`"
        )
    } else if workers < cores {
        format!("its {workers} loader threads were too few: give more, --workers {cores}")
    } else {
        format!("its {workers} loader threads had no more cores to run on: it takes a machine with more")
    };
    Some(format!("Epoch {number} waited {:.0} % of its time for images, for {remedy}", 100.0 * waited))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn epoch() -> Epoch<'static> {
        let seconds = Duration::from_secs;
        let times = StageTimes {
            read: seconds(1),
            decode: seconds(60),
            resize: seconds(20),
            slot: seconds(0),
            images: 1000,
            pixels: 1000 * 160 * 200,
        };
        Epoch {
            number: 3,
            train_seconds: 100.0,
            data_seconds: 40.0,
            times,
            workers: 2,
            cores: 8,
            size: 128,
            data: "photos",
        }
    }

    #[test]
    fn an_epoch_that_hardly_waits_needs_no_advice() {
        assert_eq!(advice(&Epoch { data_seconds: 4.0, ..epoch() }), None);
        assert_eq!(advice(&Epoch { train_seconds: 0.0, data_seconds: 0.0, ..epoch() }), None);
        assert_eq!(advice(&Epoch { times: StageTimes::default(), ..epoch() }), None);
    }

    #[test]
    fn advice_names_the_remedy() {
        let says = |epoch: &Epoch<'_>, remedy: &str| {
            let sentence = advice(epoch).unwrap();
            assert!(sentence.starts_with("Epoch 3 waited 40 % of its time for images, for "), "{sentence}");
            assert!(sentence.contains(remedy) && !sentence.contains('\n'), "{sentence}");
        };
        says(&epoch(), "its 2 loader threads were too few: give more, --workers 8");
        says(&Epoch { workers: 8, ..epoch() }, "its 8 loader threads had no more cores");
        let large = StageTimes { pixels: 1000 * 500 * 500, ..epoch().times };
        says(&Epoch { times: large, ..epoch() }, "500 x 500 pixels on average where 160 of the short side do");
        let slow = StageTimes { read: Duration::from_secs(300), ..large };
        says(&Epoch { times: slow, ..epoch() }, "79 % of its work reading: keep the images on a faster disk");
        says(&Epoch { times: slow, ..epoch() }, "`imagenet18 data prepare photos DST --sizes 160`");
    }
}
