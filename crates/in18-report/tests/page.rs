//! The page as a whole: well-formed, self-contained, escaped, and small however long the run was.

use in18_record::{DataChange, EpochRecord, Event, RunEnd, RunStart, Stamp, StepRecord};
use in18_report::{Reference, Run, State, page};
use roxmltree::{Document, ParsingOptions};

const STAMP: f64 = 1_770_091_506.0;

fn at(seconds: f64) -> Stamp {
    Stamp { seconds, unix: STAMP + seconds }
}

fn start(epochs: usize) -> Event {
    Event::RunStart(RunStart {
        arch: "resnet50".into(),
        classes: 1000,
        parameters: 25_557_032,
        precision: "bf16".into(),
        engine: "oneDNN 3.2.0".into(),
        world: 1,
        workers: 8,
        seed: 0,
        first_epoch: 0,
        epochs,
        images_train: 1_281_167,
        images_val: 50_000,
        epoch_cost: vec![],
        plan: vec![],
    })
}

fn data(epoch: usize, size: usize, train_dir: &str) -> Event {
    Event::DataChange(DataChange {
        epoch,
        size,
        batch: 32,
        val_batch: 64,
        train_dir: train_dir.into(),
        val_dir: "val".into(),
        min_scale: 0.35,
        rect_val: epoch > 0,
        val_size: None,
        val_crop: None,
        tta: None,
    })
}

fn step(epoch: usize, step: usize, steps: usize, loss: f64) -> Event {
    Event::Step(StepRecord {
        epoch,
        step,
        steps,
        images: 32,
        images_total: 32,
        images_before: 0,
        size: 128,
        lr: 0.1 + epoch as f64,
        momentum: 0.9,
        loss,
        top1: 10.0,
        top5: 20.0,
        step_seconds: 0.25,
        data_seconds: 0.01,
        means: Default::default(),
        network: None,
        memory: None,
    })
}

fn epoch(epoch: usize, top1: f64) -> Event {
    Event::EpochEnd(EpochRecord {
        epoch,
        hours: 0.5 * (epoch + 1) as f64,
        images_seen: 96,
        size: 128,
        train_loss: 2.5,
        train_top1: 12.5,
        train_top5: 25.0,
        val_loss: 2.25,
        top1,
        top5: 87.65,
        train_seconds: 100.0,
        data_seconds: 2.0,
        eval_seconds: 10.0,
        images_per_s: 321.0,
        skipped: 0,
    })
}

fn end() -> Event {
    let (seconds, train_seconds) = (9.0, 8.0);
    Event::RunEnd(RunEnd {
        epochs: 2,
        images_seen: 192,
        seconds,
        train_seconds,
        data_seconds: 0.1,
        eval_seconds: 1.0,
        top1: 43.21,
        top5: 87.65,
        peak_rss_bytes: None,
    })
}

fn run(name: &str, events: Vec<Event>) -> Run {
    let events: Vec<_> = events.into_iter().enumerate().map(|(second, event)| (at(second as f64), event)).collect();
    Run::new(name.to_owned(), &events)
}

fn whole(name: &str) -> Run {
    let events = vec![
        start(2),
        data(0, 128, "train"),
        step(0, 1, 1, 3.0),
        epoch(0, 54.32),
        data(1, 160, "train"),
        step(1, 1, 1, 2.0),
    ];
    run(name, events.into_iter().chain([epoch(1, 43.21), end()]).collect())
}

/// The page, after the checks that every page must pass.
fn checked(runs: &[Run], reference: Option<&Reference>) -> String {
    let html = page(runs, reference, STAMP + 60.0);
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&html, options).unwrap_or_else(|error| panic!("{error}\n{html}"));
    let mut ids = std::collections::BTreeSet::new();
    for node in document.descendants() {
        let tag = node.tag_name().name();
        assert!(!["script", "link", "img", "iframe", "object", "use", "image"].contains(&tag), "{tag}");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!["src", "href", "srcset", "data"].contains(&name) && !name.starts_with("on"), "{name}");
        }
        if let Some(id) = node.attribute("id") {
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
        if tag == "svg" && node.attribute("aria-hidden").is_none() {
            assert_eq!(node.attribute("role"), Some("img"));
            assert!(node.children().any(|child| child.tag_name().name() == "desc"));
        }
        if tag == "table" {
            let cells = |row: roxmltree::Node<'_, '_>| row.children().filter(|cell| cell.is_element()).count();
            let rows: Vec<_> = node.descendants().filter(|row| row.tag_name().name() == "tr").map(cells).collect();
            assert!(rows.iter().all(|&count| count == rows[0]), "{rows:?}");
        }
    }
    for labelled in document.descendants().filter_map(|node| node.attribute("aria-labelledby")) {
        assert!(labelled.split(' ').all(|id| ids.contains(id)), "{labelled}");
    }
    for outside in ["http:", "https:", "url(", "@import", "//"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf\""), "a number that is none was drawn");
    html
}

#[test]
fn a_run_is_told() {
    let html = checked(&[whole("runs-a")], None);
    for part in ["resnet50", "25.6 M", "bf16 with oneDNN 3.2.0", "Finished: 2 of 2 epochs", "54.32", "87.65", "321.0"] {
        assert!(html.contains(part), "{part}");
    }
    assert_eq!(html.matches("<figure>").count(), 8);
}

#[test]
fn runs_and_the_reference_stand_beside_each_other() {
    let seed = Reference::by_name("seed").unwrap();
    let html = checked(&[whole("first"), whole("second")], Some(&seed));
    for part in ["2 runs compared", "first", "second", "75.9179", "93.0179", "0.0539", "class=\"reference\""] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn names_from_files_are_only_text() {
    let hostile = "</title></style><script>alert(1)</script>\"'&\u{0}\u{202e}";
    let html = checked(
        &[
            run(
                hostile,
                vec![start(1), data(0, 32, hostile), Event::Warning { text: hostile.into() }, step(0, 1, 9, 1.0)],
            ),
            whole(hostile),
        ],
        None,
    );
    assert!(!html.contains("<script"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn runs_without_an_end_say_how_they_stand() {
    struct Case {
        name: &'static str,
        events: Vec<Event>,
        now: f64,
        want: State,
    }
    let begun = || vec![start(2), data(0, 128, "train"), step(0, 1, 2, 3.0)];
    let with = |more: Vec<Event>| begun().into_iter().chain(more).collect();
    let gave_up = || Event::Stopped { reason: "the training loss became NaN".into() };
    let resumed = || Event::Resumed { epoch: 0, step: 1, images_seen: 32, from: "c".into(), world: None };
    for Case { name, events, now, want } in [
        Case { name: "empty", events: vec![], now: STAMP, want: State::Interrupted },
        Case { name: "only begun", events: vec![start(2)], now: STAMP + 5.0, want: State::Running },
        Case { name: "live", events: begun(), now: STAMP + 60.0, want: State::Running },
        Case { name: "silent", events: begun(), now: STAMP + 1e5, want: State::Interrupted },
        Case { name: "gave up", events: with(vec![gave_up()]), now: STAMP, want: State::Stopped },
        Case { name: "went on", events: with(vec![gave_up(), resumed()]), now: STAMP, want: State::Running },
        Case { name: "NaN", events: with(vec![step(0, 2, 2, f64::NAN)]), now: STAMP, want: State::Diverged },
        Case { name: "ended", events: with(vec![epoch(0, 1.0), end()]), now: STAMP + 1e5, want: State::Done },
    ] {
        let run = run("a", events);
        assert_eq!(run.state(now, 1800.0), want, "{name}");
        let words = want.words();
        let html = page(std::slice::from_ref(&run), None, now);
        assert!(html.contains(&words[1..]), "{name}: {words}");
        assert_eq!(html.contains("the training loss became"), want == State::Stopped, "{name}");
    }
}

#[test]
fn a_diverged_run_is_drawn_up_to_there() {
    let events =
        vec![start(1), data(0, 32, "t"), step(0, 1, 3, 3.0), step(0, 2, 3, f64::INFINITY), step(0, 3, 3, f64::NAN)];
    let html = checked(&[run("a", events)], None);
    assert!(html.contains("Diverged"));
}

#[test]
fn phases_hold_until_the_next() {
    let mut events = vec![start(9), data(0, 128, "a"), Event::BatchChange { epoch: 2, batch: 16 }, data(5, 160, "b")];
    events.push(step(5, 1, 2, 1.0));
    let phases = run("a", events).phases();
    let seen: Vec<_> =
        phases.iter().map(|phase| (phase.data.epoch, phase.until, phase.data.size, phase.data.batch)).collect();
    assert_eq!(seen, [(0, 2, 128, 32), (2, 5, 128, 16), (5, 9, 160, 32)]);
    assert_eq!(phases[2].rates, Some([5.1, 5.1, 5.1]));
}

#[test]
fn phases_that_have_not_begun_are_those_planned() {
    let change = |epoch, size, batch| match data(epoch, size, "a") {
        Event::DataChange(data) => DataChange { batch, ..data },
        _ => unreachable!(),
    };
    let Event::RunStart(start) = start(9) else { unreachable!() };
    let plan = vec![change(0, 128, 32), change(2, 160, 32), change(5, 160, 16)];
    let mut events = vec![Event::RunStart(RunStart { plan, ..start }), data(0, 128, "a")];
    let seen = |events: &[Event]| -> Vec<_> {
        let phases = run("a", events.to_vec()).phases();
        phases.iter().map(|phase| (phase.data.epoch, phase.until, phase.data.size, phase.data.batch)).collect()
    };
    let whole = [(0, 2, 128, 32), (2, 5, 160, 32), (5, 9, 160, 16)];
    assert_eq!(seen(&events), whole);
    events.push(data(2, 160, "a"));
    assert_eq!(seen(&events), whole);
    events.push(Event::BatchChange { epoch: 5, batch: 16 });
    assert_eq!(seen(&events), whole);
}

#[test]
fn images_that_could_not_be_loaded_are_counted() {
    let Event::EpochEnd(last) = epoch(0, 1.0) else { unreachable!() };
    let events = vec![start(1), data(0, 32, "t"), Event::EpochEnd(EpochRecord { skipped: 123, ..last }), end()];
    assert!(checked(&[run("a", events)], None).contains("Images that could not be loaded: 123."));
}

#[test]
fn a_long_run_makes_a_small_page_and_keeps_its_extremes() {
    let steps = 3704;
    let mut events = vec![start(27), data(0, 128, "train")];
    for e in 0..27 {
        events.extend((1..=steps).map(|s| step(e, s, steps, 3.0 + (s % 17) as f64 / 10.0)));
        events.push(epoch(e, 2.0 * e as f64));
    }
    let html = checked(&[run("a", events.clone()), run("b", events.clone()), run("c", events)], None);
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
}
