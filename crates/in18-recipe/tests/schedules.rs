//! Curves over a run, sizes that move and epochs that are cut: their values against PyTorch's own
//! schedulers (scripts/golden/schedules.py), how they are written, and every way to write them
//! wrong.

use in18_recipe::{Curve, Phases, Plan, PlanInput, Recipe};

/// A recipe whose phases have no rate.
fn recipe(fields: &[(&str, &str)]) -> Recipe {
    let mut recipe = Recipe::from(Phases::from_python("[{'ep': 0, 'sz': 64, 'bs': 4}]").unwrap());
    for (field, value) in fields {
        recipe.set(field, value).unwrap_or_else(|error| panic!("{field}={value}: {error}"));
    }
    recipe
}

/// The plan for 28 images a device: 7 steps an epoch of 4.
fn plan(fields: &[(&str, &str)]) -> Result<Plan, String> {
    Plan::resolve(&recipe(fields), &PlanInput::uniform(1, 28)).map_err(|error| error.to_string())
}

/// An epoch's stretches: steps, size, batch.
fn stretches(plan: &Plan, epoch: usize) -> Vec<(usize, usize, usize)> {
    plan.epochs[epoch].stretches.iter().map(|it| (it.steps, it.size, it.batch)).collect()
}

#[test]
fn curves_have_the_values_of_pytorchs_schedulers() {
    const CASES: [(&str, &str, &str); 7] = [
        ("cosine", "{ kind = 'cosine', from = 2, to = 0.002 }", "0.9"),
        ("warm-cosine", "{ kind = 'cosine', from = 2, to = 0.002, warmup = 2, warmup_share = 0.1 }", "0.9"),
        ("polynomial", "{ kind = 'polynomial', from = 2, to = 0, power = 2 }", "0.9"),
        ("steps", "{ kind = 'steps', from = 2, at = [2, 4], factor = 0.1 }", "0.9"),
        ("linear", "{ kind = 'linear', from = 2, to = 0.5 }", "0.9"),
        (
            "cycle",
            "{ kind = 'cycle', from = 0.08, peak = 2, to = 8e-6 }",
            "{ kind = 'cycle', from = 0.95, peak = 0.85, to = 0.95 }",
        ),
        (
            "cycle-linear",
            "{ kind = 'cycle', from = 0.2, peak = 2, to = 0.002, rise = 0.4, anneal = 'linear' }",
            "{ kind = 'cycle', from = 0.95, peak = 0.85, to = 0.95, rise = 0.4, anneal = 'linear' }",
        ),
    ];
    let golden = include_str!("golden/schedules.csv");
    for (case, rate, momentum) in CASES {
        let plan = plan(&[("epochs", "5"), ("optimizer.rate", rate), ("optimizer.momentum", momentum)]).unwrap();
        let mut compared = 0;
        for line in golden.lines().filter(|line| line.split(',').next() == Some(case)) {
            let numbers: Vec<f64> = line.split(',').skip(1).map(|number| number.parse().unwrap()).collect();
            let step = numbers[0] as usize;
            let found = plan.step(step / 7, step % 7 + 1);
            for (found, wanted) in [(found.rate, numbers[1]), (found.momentum, numbers[2])] {
                assert!((found - wanted).abs() <= 2e-14, "{line}: {found}");
            }
            compared += 1;
        }
        assert_eq!(compared, 35, "{case}");
    }
}

/// arXiv 2107.04197, at quarters of the run.
#[test]
fn rex_has_the_papers_values() {
    let plan = plan(&[("epochs", "4"), ("optimizer.rate", "{ kind = 'rex', from = 2, to = 0 }")]).unwrap();
    for (epoch, t) in [(0, 0.0), (1, 0.25), (2, 0.5), (3, 0.75)] {
        let wanted = 2.0 * (1.0 - t) / (0.5 + 0.5 * (1.0 - t));
        assert!((plan.step(epoch, 1).rate - wanted).abs() < 1e-15, "{t}");
    }
}

#[test]
fn a_warm_up_may_end_within_an_epoch_and_starts_at_a_value_or_a_share() {
    let rate = "{ kind = 'constant', from = 2, warmup = 1.5, warmup_from = 0.5 }";
    let plan = plan(&[("epochs", "3"), ("optimizer.rate", rate)]).unwrap();
    let rates: Vec<f64> = (0..3)
        .flat_map(|epoch| (1..=7).map(move |step| (epoch, step)))
        .map(|(epoch, step)| plan.step(epoch, step).rate)
        .collect();
    assert_eq!((rates[0], rates[20]), (0.5, 2.0));
    for (step, rate) in rates.iter().enumerate() {
        let wanted = 0.5 + 1.5 * (step as f64 / 10.5).min(1.0);
        assert!((rate - wanted).abs() < 1e-12, "step {step}: {rate} is not {wanted}");
    }
}

#[test]
fn a_curve_keeps_its_ends_outside_of_its_epochs_and_may_move_once_an_epoch() {
    let rate = "{ kind = 'linear', from = 2, to = 1, start = 1, end = 3 }";
    let outside = plan(&[("epochs", "4"), ("optimizer.rate", rate)]).unwrap();
    assert_eq!([0, 1, 2, 3].map(|epoch| outside.step(epoch, 1).rate), [2.0, 2.0, 1.5, 1.0]);
    let rate = "{ kind = 'linear', from = 2, to = 1, epoch_step = true }";
    let once = plan(&[("epochs", "2"), ("optimizer.rate", rate)]).unwrap();
    assert_eq!([(0, 1), (0, 7), (1, 1), (1, 7)].map(|(epoch, step)| once.step(epoch, step).rate), [2.0, 2.0, 1.5, 1.5]);
}

#[test]
fn a_run_may_end_within_an_epoch() {
    let rate = ("optimizer.rate", "{ kind = 'linear', from = 1, to = 0 }");
    for (epochs, steps) in [("2", 14), ("2.5", 18), ("2.000000000001", 14), ("0.1", 1)] {
        let plan = plan(&[("epochs", epochs), rate]).unwrap();
        assert_eq!(plan.total_steps(), steps, "{epochs}");
    }
    // 28.8 - 28 is a rounding more than 0.8: of 10 steps there are 8.
    let whole = Plan::resolve(&recipe(&[("epochs", "28.8"), rate]), &PlanInput::uniform(1, 40)).unwrap();
    assert_eq!((whole.epochs.len(), whole.epochs[28].steps, whole.length), (29, 8, 28.8));
    // Phases say it, too, and a line goes on over its whole length.
    let phases = "[{'ep': 0, 'sz': 64, 'bs': 4}, {'ep': (0, 1.5), 'lr': (0, 3)}, {'ep': (1.5, 2.25), 'lr': 3}]";
    let plan = plan(&[("phases", phases)]).unwrap();
    assert_eq!((plan.total_steps(), stretches(&plan, 2)), (14 + 2, vec![(2, 64, 4)]));
    let rates = [(0, 1), (1, 1), (1, 3), (1, 4), (1, 5), (2, 1)].map(|(epoch, step)| plan.step(epoch, step).rate);
    let wanted = [2.0 / 7.0, 2.0 + 2.0 / 7.0, 2.0 + 6.0 / 7.0, 2.0 + 8.0 / 7.0, 3.0, 3.0];
    rates.iter().zip(wanted).for_each(|(rate, wanted)| assert!((rate - wanted).abs() < 1e-12, "{rates:?}"));
}

#[test]
fn a_size_moves_within_epochs_and_takes_batch_and_crop_along() {
    let sized = |data: &str| {
        let phases = format!("[{{'ep': 0, 'sz': 32, 'bs': 4}}, {{'ep': (0.5, 2.5), {data}}}]");
        plan(&[("epochs", "3"), ("optimizer.rate", "0.1"), ("phases", &phases)]).unwrap()
    };
    let constant = sized("'sz': (32, 64), 'every': 16, 'bs': 4");
    // 48 px is the nearest from epoch 1 to 2, 64 px from there on.
    assert_eq!(
        [0, 1, 2].map(|epoch| stretches(&constant, epoch)),
        [vec![(7, 32, 4)], vec![(7, 48, 4)], vec![(7, 64, 4)]]
    );
    let by_size = sized("'sz': (32, 64), 'every': 8, 'bs': {32: 4, 48: 2}, 'min_scale': (0.5, 0.1)");
    // The crop changes where the phase starts.
    assert_eq!(stretches(&by_size, 0), [(4, 32, 4), (2, 32, 4), (1, 40, 4)]);
    assert_eq!(stretches(&by_size, 1), [(2, 40, 4), (7, 48, 2), (3, 56, 2)]);
    assert_eq!(stretches(&by_size, 2), [(4, 56, 2), (10, 64, 2)]);
    let last = &by_size.epochs[2];
    assert_eq!((last.size, last.batch, last.steps, last.min_scale), (64, 2, 14, 0.1));
    assert!((by_size.step(1, 4).min_scale - 0.3).abs() < 1e-15);
    // The same pixels at every size: 4 images of 64 px are 16 of 32 px.
    let pixels = sized("'sz': (64, 32), 'every': 32, 'bs': 4, 'bs_at': 64");
    assert_eq!(
        [0, 1, 2].map(|epoch| stretches(&pixels, epoch).last().copied().unwrap()),
        [(3, 64, 4), (1, 32, 16), (2, 32, 16)]
    );
    assert_eq!(stretches(&pixels, 1), [(4, 64, 4), (1, 32, 16)]);
}

#[test]
fn what_is_written_reads_back_and_makes_the_same_plan() {
    let phases = "[{'ep': 0, 'sz': 88, 'bs': 4}, {'ep': (0.52, 2.04), 'sz': (88, 176), 'every': 4, \
        'bs': {88: 4, 128: 2}, 'min_scale': (0.35, 0.25)}, {'ep': 2.5, 'sz': 176, 'bs': 8, 'bs_at': 88}]";
    let cosine = "{ kind = 'cosine', from = 2.048, to = 0, warmup = 0.256 }";
    let cycle = "{ kind = 'cycle', from = 0.95, peak = 0.85, to = 0.95, anneal = 'linear' }";
    let written = recipe(&[("phases", phases), ("epochs", "2.88"), ("optimizer.rate", cosine), ("momentum", cycle)]);
    assert_eq!(written.phases.to_python(), phases);
    let toml = written.to_toml();
    let read = Recipe::from_toml(&toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    assert_eq!(read, written, "{toml}");
    let resolve = |recipe: &Recipe| Plan::resolve(recipe, &PlanInput::uniform(1, 400)).unwrap();
    assert_eq!(resolve(&read), resolve(&written));
    let plan = resolve(&written);
    assert_eq!(
        (plan.epochs[0].lr.to_string(), plan.momentum().to_string()),
        (
            "cosine from 2.048 to 0, epochs 0.256 to 2.88, after a linear warm-up from 0, epochs 0 to 0.256".to_owned(),
            "cycle from 0.95 by 0.85 to 0.95, epochs 0 to 2.88".to_owned()
        )
    );
    // A single part of a curve is a field of its own.
    let mut set = written.clone();
    set.set("optimizer.rate.from", "1.7").unwrap();
    assert_eq!(set.get("optimizer.rate.from").as_deref(), Some("1.7"));
    set.set("optimizer.rate.from", "2.048").unwrap();
    assert_eq!(set, written);
    set.set("optimizer.rate", "0.5").unwrap();
    assert_eq!(set.optimizer.rate, Some(Curve::Constant(0.5)));
}

#[test]
fn curves_that_contradict_themselves_or_the_run_are_named() {
    let field = |field: &str, value: &str| recipe(&[]).set(field, value).unwrap_err().to_string();
    let rate = |value: &str| field("optimizer.rate", value);
    for (value, message) in [
        (
            "{ kind = 'cosin', from = 1, to = 0 }",
            "optimizer.rate.kind: expected one of constant, linear, cosine, rex, polynomial, steps, cycle, got 'cosin': did you mean 'cosine'?",
        ),
        ("{ kind = 'cosine', to = 0 }", "expected 'from', got none"),
        ("{ kind = 'cosine', from = 1 }", "optimizer.rate.to: expected a value, which kind 'cosine' needs, got none"),
        (
            "{ kind = 'cosine', from = 1, to = 0, power = 2 }",
            "optimizer.rate.power: expected none beside kind 'cosine', got 2",
        ),
        (
            "{ kind = 'linear', from = -1, to = 0 }",
            "optimizer.rate.from: expected a finite rate that is not negative, got -1",
        ),
        (
            "{ kind = 'linear', from = 1, to = nan }",
            "optimizer.rate.to: expected a finite rate that is not negative, got NaN",
        ),
        (
            "{ kind = 'linear', from = 1, to = 0, warmup = 0 }",
            "optimizer.rate.warmup: expected a number of epochs above 0, got 0",
        ),
        (
            "{ kind = 'linear', from = 1, to = 0, warmup_from = 0.1 }",
            "optimizer.rate.warmup_from: expected 'warmup' beside it, got 0.1 alone",
        ),
        (
            "{ kind = 'linear', from = 1, to = 0, warmup = 1, warmup_from = 0, warmup_share = 0 }",
            "optimizer.rate.warmup_share: expected either it or 'warmup_from', got both",
        ),
        (
            "{ kind = 'steps', from = 1, at = [4, 2], factor = 0.1 }",
            "optimizer.rate.at: expected one or more epochs above 0, in order, got [4.0, 2.0]",
        ),
        (
            "{ kind = 'cycle', from = 1, peak = 2, to = 0, rise = 1 }",
            "optimizer.rate.rise: expected a share of the curve between 0 and 1, got 1",
        ),
    ] {
        assert_eq!(rate(value), message, "{value}");
    }
    assert_eq!(
        field("momentum", "{ kind = 'linear', from = 0.9, to = 1 }"),
        "optimizer.momentum.to: expected a number from 0 to 1 (1 excluded), got 1"
    );
    assert_eq!(field("epochs", "0"), "expected a number of epochs above 0 and up to 100000, got 0");
}

#[test]
fn fields_that_contradict_each_other_are_named() {
    const LINE: &str = "{ kind = 'linear', from = 1, to = 0 }";
    let line = |more: &str| LINE.replace(" }", more);
    for (fields, message) in [
        (
            vec![("optimizer.rate", LINE.to_owned())],
            "epochs: expected the length of the run in epochs, which optimizer.rate without 'end' needs, got none",
        ),
        (
            vec![("epochs", "5".to_owned()), ("optimizer.rate", line(", end = 6 }"))],
            "optimizer.rate.end: expected an epoch up to 5, the end of the run, got 6",
        ),
        (
            vec![("epochs", "5".to_owned()), ("optimizer.rate", line(", start = 5 }"))],
            "optimizer.rate.start: expected an epoch below 5, where the curve ends, got 5",
        ),
        (
            vec![("epochs", "5".to_owned()), ("optimizer.rate", line(", warmup = 5 }"))],
            "optimizer.rate.warmup: expected fewer than the 5 epochs of the curve, got 5",
        ),
        (
            vec![
                ("epochs", "5".to_owned()),
                ("optimizer.rate", "{ kind = 'steps', from = 1, at = [3, 6], factor = 0.1 }".to_owned()),
            ],
            "optimizer.rate.at: expected epochs from 0 on and below 5, where the curve ends, got 6",
        ),
        (
            vec![
                ("epochs", "5".to_owned()),
                ("optimizer.rate", "0.1".to_owned()),
                ("momentum", line(", end = 6 }").replace("from = 1", "from = 0.5")),
            ],
            "optimizer.momentum.end: expected an epoch up to 5, the end of the run, got 6",
        ),
        (
            vec![
                ("optimizer.rate", LINE.to_owned()),
                ("phases", "[{'ep': (0, 2), 'sz': 64, 'bs': 4, 'lr': 1}]".to_owned()),
            ],
            "optimizer.rate: expected no rate in the phases beside it, got 'lr' in phase 1: remove one of the two",
        ),
        (
            vec![("epochs", "3".to_owned()), ("phases", "[{'ep': (0, 2), 'sz': 64, 'bs': 4, 'lr': 1}]".to_owned())],
            "epochs: expected at most 2, where the rates of the phases end, got 3",
        ),
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(field, value)| (*field, &**value)).collect();
        assert_eq!(plan(&fields).map(|plan| plan.epochs.len()), Err(message.to_owned()), "{fields:?}");
    }
}

#[test]
fn sizes_that_contradict_themselves_or_the_run_are_named() {
    let wrong = |phase: &str| {
        let phases = format!("[{phase}, {{'ep': (0, 4), 'lr': 1}}]");
        match Phases::from_python(&phases) {
            Err(error) => error.to_string().split_once(": ").unwrap().1.to_owned(),
            Ok(_) => plan(&[("phases", &phases)]).map(|plan| plan.epochs.len()).unwrap_err(),
        }
    };
    for (phase, message) in [
        (
            "{'ep': (0, 4), 'sz': (32, 64), 'bs': 4}",
            "phase 1: 'sz': expected 'every' beside it, the pixels by which a pair of sizes moves, got none",
        ),
        (
            "{'ep': (0, 4), 'sz': (32, 64), 'every': 0, 'bs': 4}",
            "phase 1: 'every': expected a number of pixels that divides both sizes of (32, 64), got 0",
        ),
        (
            "{'ep': (0, 4), 'sz': (32, 60), 'every': 8, 'bs': 4}",
            "phase 1: 'every': expected a number of pixels that divides both sizes of (32, 60), got 8",
        ),
        (
            "{'ep': 0, 'sz': 32, 'every': 8, 'bs': 4}",
            "phase 1: 'every': expected a pair of sizes in 'sz' beside it, got 32",
        ),
        (
            "{'ep': 0, 'sz': (32, 64), 'every': 8, 'bs': 4}",
            "phase 1: 'ep': expected a pair (start, end), because 'sz' is a pair, got 0",
        ),
        (
            "{'ep': 0, 'sz': 32, 'bs': 4, 'min_scale': (0.1, 0.2)}",
            "phase 1: 'min_scale': expected one share, because 'sz' is not a pair, got a pair",
        ),
        (
            "{'ep': (0, 4), 'sz': (32, 64), 'every': 32, 'bs': {32: 4, 48: 2}}",
            "phase 1: 'bs': expected sizes that the phase trains at, got one for 48 pixels",
        ),
        (
            "{'ep': (0, 4), 'sz': (32, 64), 'every': 32, 'bs': {64: 4}}",
            "phase 1: 'bs': expected a batch for 32 pixels, the smallest size, got {64: 4}",
        ),
        (
            "{'ep': (0, 5), 'sz': (32, 64), 'every': 32, 'bs': 4}",
            "phase 1: 'sz': expected epochs enough to reach 64 pixels at epoch 5, got a run that ends at epoch 4",
        ),
        (
            "{'ep': (0, 3), 'sz': (32, 64), 'every': 32, 'bs': 4}, {'ep': 2, 'sz': 64, 'bs': 4}",
            "phase 1: 'sz': expected epochs enough to reach 64 pixels at epoch 3, got phase 2 from epoch 2 on",
        ),
        (
            "{'ep': 0, 'sz': 32, 'bs': 4}, {'ep': 1.5, 'sz': 64, 'bs': 4, 'trndir': '-x'}",
            "phase 2: 'ep': expected a whole epoch, because 'trndir' changes there, got 1.5",
        ),
        ("{'ep': -0.5, 'sz': 32, 'bs': 4}", "phase 1: 'ep': expected an epoch that is not negative, got -0.5"),
    ] {
        assert_eq!(wrong(phase), message, "{phase}");
    }
}
