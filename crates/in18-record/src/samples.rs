//! A short made-up run that the formats' tests record.

use crate::*;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// A writer whose text can be read while a sink owns it.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text that a sink writes about a run.
pub(crate) fn written(events: Vec<(Stamp, Event)>, sink: impl FnOnce(Shared) -> Box<dyn Sink>) -> String {
    let shared = Shared::default();
    let mut sink = sink(shared.clone());
    for (stamp, event) in events {
        sink.record(stamp, &event).unwrap();
    }
    sink.close().unwrap();
    shared.text()
}

/// A stamp of a run that began on 2026-02-03 at 04:05:06 UTC.
pub(crate) fn stamp(seconds: f64) -> Stamp {
    Stamp { seconds, unix: 1_770_091_506.0 + seconds }
}

pub(crate) fn run_start() -> RunStart {
    RunStart {
        arch: "resnet18".into(),
        classes: 10,
        parameters: 11_181_642,
        precision: "bf16".into(),
        engine: "oneDNN 3.2.0".into(),
        world: 1,
        workers: 2,
        seed: 0,
        first_epoch: 0,
        epochs: 2,
        images_train: 96,
        images_val: 40,
        epoch_cost: vec![1.0, 2.0],
        plan: vec![],
    }
}

pub(crate) fn step(epoch: usize, step: usize, steps: usize) -> StepRecord {
    let done = (epoch * steps + step) as f64;
    StepRecord {
        epoch,
        step,
        steps,
        images: 32,
        images_total: 32,
        images_before: 32 * (epoch * steps + step - 1) as u64,
        size: 48,
        lr: 0.05 * done,
        momentum: 0.9,
        loss: 2.4 - 0.125 * done,
        top1: 6.25 * done,
        top5: 12.5 * done,
        step_seconds: 0.25,
        data_seconds: 0.002,
        means: means(epoch, step, steps),
        network: None,
        memory: None,
    }
}

/// The means of an epoch's steps 1 to `step`, which all have the same number of images.
fn means(epoch: usize, step: usize, steps: usize) -> Means {
    let done = epoch as f64 * steps as f64 + (step + 1) as f64 / 2.0;
    Means { loss: 2.4 - 0.125 * done, top1: 6.25 * done, top5: 12.5 * done, step_seconds: 0.25, data_seconds: 0.002 }
}

fn loader(epoch: usize) -> LoaderRecord {
    LoaderRecord {
        epoch,
        read_seconds: 0.25,
        decode_seconds: 1.5,
        resize_seconds: 0.75,
        slot_seconds: 2.5,
        advice: Some("Epoch 1 waited, for its disk is slow".into()),
    }
}

pub(crate) fn epoch(epoch: usize) -> EpochRecord {
    EpochRecord {
        epoch,
        hours: 0.00125 * (epoch + 1) as f64,
        images_seen: 96 * (epoch + 1) as u64,
        size: 48,
        train_loss: 2.15,
        train_top1: 12.5,
        train_top5: 25.0,
        val_loss: 2.0625,
        top1: 17.5 + 60.0 * epoch as f64,
        top5: 62.5 + 35.0 * epoch as f64,
        train_seconds: 3.0,
        data_seconds: 0.024,
        eval_seconds: 1.5,
        images_per_s: 32.0,
        skipped: 0,
    }
}

pub(crate) fn data() -> DataChange {
    DataChange {
        epoch: 0,
        size: 48,
        batch: 32,
        val_batch: 128,
        train_dir: "photos/train".into(),
        val_dir: "photos/validation".into(),
        min_scale: 0.35,
        rect_val: false,
        val_size: None,
        val_crop: None,
        tta: None,
    }
}

pub(crate) fn run() -> Vec<(Stamp, Event)> {
    let data = data();
    let rate = |epoch, step, from, to| Event::RateChange { epoch, step, from, to };
    let eval = |epoch| EvalRecord {
        epoch,
        step: 1,
        steps: 1,
        images_total: 40,
        loss: 2.0625,
        top1: 17.5,
        top5: 62.5,
        step_seconds: 1.5,
        means: Means { loss: 2.0625, top1: 17.5, top5: 62.5, step_seconds: 1.5, data_seconds: 0.0 },
    };
    let mut second = step(1, 3, 3);
    second.network = Some(NetworkRate { received_gbit: 1.5, sent_gbit: 2.25 });
    second.memory = Some(MemoryUse { allocated: 1, max_allocated: 2, cached: 3, max_cached: 4 });
    [
        (0.0, Event::RunStart(run_start())),
        (0.0, Event::DataChange(data.clone())),
        (0.0, rate(0, 1, None, 0.05)),
        (0.25, Event::Step(step(0, 1, 3))),
        (0.5, Event::Step(step(0, 2, 3))),
        (3.0, Event::Step(step(0, 3, 3))),
        (3.0, Event::Loader(LoaderRecord { advice: None, ..loader(0) })),
        (4.5, Event::EvalStep(eval(0))),
        (4.5, Event::EpochEnd(epoch(0))),
        (
            4.5,
            Event::DataChange(DataChange {
                epoch: 1,
                size: 64,
                train_dir: "photos-sz/64/train".into(),
                rect_val: true,
                ..data
            }),
        ),
        (4.5, Event::BatchChange { epoch: 1, batch: 16 }),
        (4.5, rate(1, 1, Some(0.15), 1.0)),
        (7.5, Event::Step(second)),
        (7.5, Event::Loader(loader(1))),
        (9.0, Event::EpochEnd(epoch(1))),
        (9.0, Event::Saved { what: "parameters".into(), path: "runs/a/model.safetensors".into() }),
        (9.0, Event::Note { text: "Everything is in runs/a".into() }),
        (9.0, Event::Warning { text: "2 photos were skipped".into() }),
        (
            9.25,
            Event::RunEnd(RunEnd {
                epochs: 2,
                images_seen: 192,
                seconds: 9.25,
                train_seconds: 6.0,
                data_seconds: 0.048,
                eval_seconds: 3.0,
                top1: 77.5,
                top5: 97.5,
                peak_rss_bytes: Some(234_000_000),
            }),
        ),
    ]
    .into_iter()
    .map(|(seconds, event)| (stamp(seconds), event))
    .collect()
}
