//! A run whose first step takes long says what it is doing. The reference provider is slow enough.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use in18_comm::Solo;
use in18_dataset::OpenOptions;
use in18_kernels::reference::Reference;
use in18_loader::OnBadImage;
use in18_program::initial::Initialization;
use in18_program::{Arch, Model};
use in18_recipe::{Phases, Plan, PlanInput, Recipe};
use in18_record::{Event, RecordError, Recorder, Sink, Stamp};
use in18_tensor::DType;
use in18_testkit::images::write_class_folders;
use in18_train::checkpoint::CheckpointOptions;
use in18_train::identity::NetworkIdentity;
use in18_train::{Data, Parts, Progress, Saving, Settings, Signals, Trainer};

/// Two sizes.
const PHASES: &str = "[{'ep':0,'sz':32,'bs':2},{'ep':(0,2),'lr':0.01},{'ep':1,'sz':40,'bs':2}]";

/// Keeps the record in memory.
struct Memory(Arc<Mutex<Vec<Event>>>);

impl Sink for Memory {
    fn record(&mut self, _: Stamp, event: &Event) -> Result<(), RecordError> {
        self.0.lock().unwrap().push(event.clone());
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), RecordError> {
        Ok(())
    }
}

/// A run's events.
fn run(folder: &Path, patience: Duration) -> Vec<Event> {
    let data = folder.join("data");
    write_class_folders(&data.join("train"), 2, 1, &[(48, 48)]).unwrap();
    write_class_folders(&data.join("val"), 2, 1, &[(48, 48)]).unwrap();
    let recipe = Recipe::from(Phases::from_python(PHASES).unwrap());
    let mut data = Data::open(&data, &recipe, &OpenOptions::default()).unwrap();
    let plan = Plan::resolve(&recipe, &PlanInput::by_train_dir(1, data.train_images())).unwrap();
    let mut model = Model::new(Box::new(Reference::new()), Arch::RESNET18.network(2), DType::F32).unwrap();
    Initialization::bn0(0).apply(&mut model).unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let mut recorder = Recorder::new(vec![Box::new(Memory(Arc::clone(&events)))]);
    let settings =
        Settings { workers: NonZeroUsize::MIN, on_bad_image: OnBadImage::Fail, short_epoch: false, patience };
    let checkpoints = CheckpointOptions {
        folder: folder.join("checkpoints"),
        best: folder.join("best.safetensors"),
        best_top5: 93.0,
        every_seconds: 600.0,
        keep: NonZeroUsize::MIN,
    };
    let network = NetworkIdentity { arch: "resnet18".to_owned(), classes: data.classes().to_vec() };
    let saving = Saving { checkpoints, signals: Signals::default(), network, identity: serde_json::Value::Null };
    let parts = Parts { comm: &mut Solo, model: &mut model, data: &mut data, recorder: &mut recorder };
    let trainer = Trainer::new(parts, &plan, settings, saving, Progress::default()).unwrap();
    trainer.run(None, None, &folder.join("model.safetensors")).unwrap();
    std::mem::take(&mut *events.lock().unwrap())
}

fn warnings(events: &[Event]) -> Vec<&str> {
    let mut found = Vec::new();
    for event in events {
        if let Event::Warning { text } = event {
            found.push(text.as_str());
        }
    }
    found
}

#[test]
fn the_first_step_of_each_size_says_what_it_is_doing() {
    let folder = tempfile::tempdir().unwrap();
    // By then, compiling and loading are done, and the step takes some seconds.
    let events = run(folder.path(), Duration::from_millis(300));
    let lines = warnings(&events);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, place, size) in [(lines[0], "step 1 of epoch 0", "32 x 32"), (lines[1], "step 1 of epoch 1", "40 x 40")]
    {
        let start = format!("the first step with 2 images of {size} pixels ({place}) is not done after 0.3 s: ");
        assert!(line.starts_with(&start), "expected {start:?} in {line}");
        // On a busy machine, the run may still be compiling or loading by then. Unit tests look at
        // each line.
        assert!(line.contains("it is "), "{line}");
        assert!(line.contains("lower 'bs' or 'sz'") && line.contains("bench step --arch resnet18 --size"), "{line}");
    }
    // The warnings come while the steps run: before the steps' own records.
    let at = |is: &dyn Fn(&Event) -> bool| events.iter().position(is).unwrap();
    let warned = at(&|event| matches!(event, Event::Warning { .. }));
    assert!(warned < at(&|event| matches!(event, Event::Step(_))), "{events:?}");
}
