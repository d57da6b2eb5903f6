//! The plan: rates, sizes, batches and folders of every preset against values worked out by an
//! independent port of the original scheduler (scripts/golden/lr_curves.py), and every way in which
//! phases make no plan.

use std::collections::BTreeMap;

use in18_recipe::{
    Curve, EpochPlan, Epochs, LrPhase, PRESETS, Phase, Phases, Plan, PlanInput, Rate, Recipe, StepPlan, preset,
};

const IMAGES: usize = 1_281_167;

fn plan(text: &str, world: usize, images: usize) -> Result<Plan, String> {
    let phases = Phases::from_python(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Plan::resolve(&Recipe::from(phases), &PlanInput::uniform(world, images)).map_err(|error| error.to_string())
}

/// The schedules beside the presets that the golden file covers, as `lr_curves.py --phases` prints
/// them.
const CASES: [(&str, &str); 3] = [
    (
        "unclamped",
        "[{'ep': 0, 'sz': 64, 'bs': 100}, {'ep': (0, 2), 'lr': (0.4, 0.3)}, {'ep': 4, 'bs': 700, 'keep_dl': True}, \
         {'ep': (5, 6), 'lr': 0.05}]",
    ),
    (
        "out-of-order",
        "[{'ep': (4, 8), 'lr': (0.1, 0.2)}, {'ep': (0, 4), 'lr': (1.0, 2.0)}, {'ep': 6, 'lr': 0.5}, \
         {'ep': 2, 'sz': 224, 'bs': 300, 'valdir': '-v'}, \
         {'ep': 0, 'sz': 128, 'bs': 600, 'trndir': '-t', 'valdir': ''}]",
    ),
    (
        "epoch-step",
        "[{'ep': 0, 'sz': 160, 'bs': 32, 'trndir': '-t'}, \
         {'ep': (0, 3), 'lr': (0.3, 0.6), 'epoch_step': True}, {'ep': (3, 5), 'lr': (0.6, 0.1)}]",
    ),
];

#[test]
fn every_schedule_equals_the_original_schedulers_values() {
    let mut epochs_seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    let golden = include_str!("golden/lr_curves.csv");
    for line in golden.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [name, world, epoch, size, bs, steps, val_bs, train_dir, val_dir, min_scale, rect_val, batch, lr] =
            fields[..]
        else {
            panic!("{line}: not the columns of lr_curves.py");
        };
        let count = |field: &str| field.parse::<usize>().unwrap();
        let number = |field: &str| field.parse::<f64>().unwrap();
        let plan = plans.entry(name.to_owned()).or_insert_with(|| match preset(name) {
            Some(preset) => {
                assert_eq!(preset.summary().world, count(world), "{name}");
                Plan::resolve(&preset.recipe(), &PlanInput::uniform(count(world), IMAGES)).unwrap()
            }
            None => plan(CASES.iter().find(|(case, _)| *case == name).unwrap().1, count(world), IMAGES).unwrap(),
        });
        let found = &plan.epochs[count(epoch)];
        assert_eq!(
            (found.epoch, found.size, found.batch, found.steps, found.val_batch),
            (count(epoch), count(size), count(bs), count(steps), count(val_bs)),
            "{line}"
        );
        assert_eq!((&*found.train_dir, &*found.val_dir), (train_dir, val_dir), "{line}");
        assert_eq!((found.min_scale, found.rect_val), (number(min_scale), rect_val == "true"), "{line}");
        assert_eq!(found.lr(count(batch)).to_bits(), number(lr).to_bits(), "{line}: {}", found.lr(count(batch)));
        let &EpochPlan { size, batch: images, min_scale, .. } = found;
        let (rate, decay) = (number(lr), number(lr) / plan.peak_rate());
        let step = StepPlan { size, batch: images, min_scale, rate, momentum: 0.9, decay, lookahead: None, ema: None };
        assert_eq!(plan.step(count(epoch), count(batch)), step, "{line}");
        epochs_seen.insert(name, count(epoch) + 1);
    }
    for (name, epochs) in &epochs_seen {
        assert_eq!(plans[*name].epochs.len(), *epochs, "{name}");
    }
    for name in PRESETS.iter().map(|preset| preset.name).chain(CASES.map(|(name, _)| name)) {
        assert!(epochs_seen.contains_key(name), "{name} is not in the golden file");
    }
}

#[test]
fn the_seed_runs_28_epochs_by_the_formula() {
    let plan = Plan::resolve(&preset("seed-8gpu").unwrap().recipe(), &PlanInput::uniform(8, IMAGES)).unwrap();
    assert_eq!(plan.epochs.len(), 28);
    // ceil(160,146 / 512), / 224, / 128
    assert_eq!([0, 13, 25].map(|epoch: usize| plan.epochs[epoch].steps), [313, 715, 1252]);
    assert_eq!(plan.total_steps(), 13 * 313 + 12 * 715 + 3 * 1252);
    let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
    close(plan.epochs[0].lr_first(), 1.0 + 1.0 / (7.0 * 313.0));
    close(plan.epochs[6].lr_last(), 2.0);
    close(plan.epochs[10].lr(100), 2.0 - 1.75 * (3.0 * 313.0 + 100.0) / (6.0 * 313.0));
    close(plan.epochs[27].lr_last(), 0.00025);
    let starts: Vec<usize> = plan.epochs.iter().filter(|epoch| epoch.new_data).map(|epoch| epoch.epoch).collect();
    assert_eq!(starts, [0, 13, 25]);
}

#[test]
fn averages_move_by_the_steps_of_the_run() {
    let mut recipe = preset("seed-8gpu").unwrap().recipe();
    for (field, value) in [("average.ema_half_life", "100"), ("average.every", "20"), ("average.lookahead", "5")] {
        recipe.set(field, value).unwrap();
    }
    let plan = Plan::resolve(&recipe, &PlanInput::uniform(8, IMAGES)).unwrap();
    // Epoch 0 has 313 steps, so step 7 of epoch 1 is the run's 320th.
    assert_eq!([plan.step(0, 313).lookahead, plan.step(1, 8).ema, plan.step(1, 12).ema], [None; 3]);
    assert!((plan.step(1, 7).ema.unwrap() - 0.5_f64.powf(0.2)).abs() < 1e-15);
    let (total, decay) = (plan.total_steps() as f64, 0.95_f64.powf(5.0));
    assert!((plan.step(1, 7).lookahead.unwrap() - decay * (320.0 / total).powf(3.0)).abs() < 1e-15);
    assert!((plan.step(27, 1252).lookahead.unwrap() - decay).abs() < 1e-15);
    // Where the last step is no meeting, the network becomes the slow one all the same.
    recipe.set("average.lookahead", "7").unwrap();
    let plan = Plan::resolve(&recipe, &PlanInput::uniform(8, IMAGES)).unwrap();
    assert_eq!([plan.step(27, 1251).lookahead, plan.step(27, 1252).lookahead], [None, Some(1.0)]);
}

#[test]
fn keep_dl_changes_only_the_training_batch() {
    let text = "[{'ep': 0, 'sz': 128, 'bs': 100, 'trndir': '-a', 'valdir': '-b', 'min_scale': 0.3, 'rect_val': True}, \
        {'ep': 2, 'sz': 128, 'trndir': '-a', 'bs': 900, 'keep_dl': True}, {'ep': (0, 4), 'lr': 0.1}]";
    let plan = plan(text, 1, 1000).unwrap();
    let [before, at, after] = [1, 2, 3].map(|epoch: usize| plan.epochs[epoch].clone());
    assert_eq!((before.batch, before.steps, before.keep_dl, before.new_data), (100, 10, false, false));
    assert_eq!((at.batch, at.steps, at.keep_dl, at.new_data), (900, 2, true, false));
    assert_eq!((after.batch, after.steps, after.keep_dl, after.new_data), (900, 2, false, false));
    assert_eq!((after.size, &*after.train_dir, &*after.val_dir, after.val_batch), (128, "-a", "-b", 512));
    assert_eq!((after.min_scale, after.rect_val), (0.3, true));
}

#[test]
fn folders_may_hold_different_numbers_of_images() {
    let text =
        "[{'ep': 0, 'sz': 96, 'bs': 10, 'trndir': '-a'}, {'ep': 1, 'sz': 96, 'bs': 10}, {'ep': (0, 2), 'lr': 1}]";
    let recipe = Recipe::from(Phases::from_python(text).unwrap());
    let resolve = |images: &[(&str, usize)]| {
        let images = images.iter().map(|&(dir, count)| (dir.to_owned(), count)).collect();
        Plan::resolve(&recipe, &PlanInput::by_train_dir(3, images)).map_err(|error| error.to_string())
    };
    let plan = resolve(&[("-a", 100), ("", 901)]).unwrap();
    // Shares of 34 and 301: the wrapped-round images count.
    assert_eq!(plan.epochs.iter().map(|epoch| (epoch.images, epoch.steps)).collect::<Vec<_>>(), [(100, 4), (901, 31)]);
    assert_eq!(
        resolve(&[("-a", 100)]),
        Err("the number of training images with the suffix '' is not known (phase 2)".to_owned())
    );
    assert_eq!(
        resolve(&[("-a", 0), ("", 901)]),
        Err("the training set with the suffix '-a' is empty (phase 1): expected at least 1 image".to_owned())
    );
}

#[test]
fn a_data_phase_with_a_rate_over_a_pair_of_epochs_starts_at_the_first() {
    let plan = plan("[{'ep': (0, 3), 'sz': 64, 'bs': 2, 'lr': (1, 4)}]", 1, 8).unwrap();
    assert_eq!(plan.epochs.iter().map(|epoch| epoch.lr_last()).collect::<Vec<_>>(), [2.0, 3.0, 4.0]);
}

#[test]
fn phases_that_make_no_plan_say_what_to_change() {
    const DATA: &str = "{'ep': 0, 'sz': 64, 'bs': 8}";
    const RATE: &str = "{'ep': (0, 5), 'lr': 0.1}";
    struct Case {
        phases: String,
        world: usize,
        message: &'static str,
    }
    let case = |phases: &[&str], message| Case { phases: format!("[{}]", phases.join(", ")), world: 2, message };
    let cases = [
        case(&[], "no phase has 'bs': add a data phase such as {'ep': 0, 'sz': 128, 'bs': 64}"),
        case(&[DATA], "no phase has 'lr': add a rate phase such as {'ep': (0, 5), 'lr': (0.1, 0.4)}"),
        case(&[RATE], "no phase has 'bs': add a data phase such as {'ep': 0, 'sz': 128, 'bs': 64}"),
        case(
            &[DATA, "{'ep': 0, 'lr': 0.1}"],
            "the run would have no epochs: it ends at the largest 'ep' of the rate phases, which is 0; give the last one \
             a pair, as in 'ep': (0, 5)",
        ),
        case(
            &["{'ep': 2, 'sz': 64, 'bs': 8}", RATE],
            "epoch 0 has no size and batch: the first data phase starts at epoch 2; start one at 'ep': 0",
        ),
        case(
            &[DATA, "{'ep': (1, 5), 'lr': 0.1}"],
            "epoch 0 has no learning rate: the first rate phase starts at epoch 1; start one at 'ep': 0",
        ),
        case(
            &[DATA, RATE, "{'ep': 0, 'sz': 96, 'bs': 4}"],
            "phases 1 and 3 both set the data from epoch 0 on: keep one, or start one later",
        ),
        case(
            &["{'ep': 0, 'bs': 8, 'keep_dl': True}", RATE],
            "phase 1 keeps the data of the epochs before (keep_dl), but there are none: give it 'sz' instead",
        ),
        case(
            &[DATA, RATE, "{'ep': 1, 'sz': 96, 'bs': 4, 'keep_dl': True}"],
            "phase 3 keeps the data (keep_dl) with 'sz' 64, but asks for 96: remove 'keep_dl' to load anew, or 'sz' to \
             keep it",
        ),
        case(
            &[DATA, RATE, "{'ep': 1, 'trndir': '-x', 'bs': 4, 'keep_dl': True}"],
            "phase 3 keeps the data (keep_dl) with 'trndir' '', but asks for '-x': remove 'keep_dl' to load anew, or \
             'trndir' to keep it",
        ),
        case(
            &[DATA, RATE, "{'ep': 3, 'sz': 96, 'bs': 51}"],
            "phase 3 (epoch 3): 'bs' 51 is more than a device's share of the training set: 99 images over 2 device(s) are \
             50 each; lower 'bs' to 50 or less",
        ),
        case(
            &[DATA, "{'ep': (0, 1), 'lr': (0, 1e308)}", "{'ep': (9, 9), 'lr': 1}"],
            "epoch 1: the learning rate of phase 2 is not finite there: shorten the line or end it sooner",
        ),
        Case {
            phases: format!("[{DATA}, {RATE}]"),
            world: 0,
            message: "the number of devices: expected at least 1, got 0",
        },
    ];
    for Case { phases, world, message } in cases {
        assert_eq!(plan(&phases, world, 99).map(|plan| plan.epochs.len()), Err(message.to_owned()), "{phases}");
    }
    // Each of them is the one fault of phases that else make a plan.
    assert_eq!(plan(&format!("[{DATA}, {RATE}]"), 2, 99).map(|plan| plan.epochs.len()), Ok(5));
}

#[test]
fn phases_built_by_hand_are_checked_too() {
    let lr = Some(LrPhase { rate: Rate::Linear(0.1, 0.2), epoch_step: false });
    let phases = Phases { phases: vec![Phase { ep: Epochs::From(0.0), data: None, lr }] };
    assert_eq!(
        Plan::resolve(&Recipe::from(phases), &PlanInput::uniform(1, 10)).unwrap_err().to_string(),
        "phase 1: 'ep': expected a pair (start, end), because 'lr' is a pair, got 0"
    );
}

#[test]
fn fields_beside_the_phases_are_checked_too() {
    let phases = Phases::from_python("[{'ep': 0, 'sz': 64, 'bs': 8}, {'ep': (0, 5), 'lr': 0.1}]").unwrap();
    let mut recipe = Recipe::from(phases);
    recipe.optimizer.momentum = Curve::Constant(1.0);
    assert_eq!(
        Plan::resolve(&recipe, &PlanInput::uniform(1, 10)).unwrap_err().to_string(),
        "optimizer.momentum: expected a number from 0 to 1 (1 excluded), got 1"
    );
}

#[test]
fn sections_say_what_phases_do_not() {
    let text = "[{'ep': 0, 'sz': 64, 'bs': 4}, {'ep': 1, 'sz': 64, 'bs': 4, 'min_scale': 0.5, 'rect_val': False}, \
        {'ep': (0, 2), 'lr': 1}]";
    let mut recipe = Recipe::from(Phases::from_python(text).unwrap());
    recipe.augment.min_scale = 0.25;
    recipe.data.drop_last = true;
    let plan = Plan::resolve(&recipe, &PlanInput::uniform(1, 10)).unwrap();
    let of = |epoch: usize| (plan.epochs[epoch].min_scale, plan.epochs[epoch].rect_val, plan.epochs[epoch].steps);
    assert_eq!((of(0), of(1)), ((0.25, false, 2), (0.5, false, 2)));
}

#[test]
fn validation_is_as_phases_say_or_as_the_recipe_says_for_all_of_them() {
    let text = "[{'ep': 0, 'sz': 128, 'bs': 600}, {'ep': 1, 'sz': 224, 'bs': 8, 'rect_val': True}, \
        {'ep': 2, 'bs': 4, 'keep_dl': True, 'rect_val': True}, {'ep': (0, 3), 'lr': 1}]";
    let of = |fields: &[(&str, &str)]| -> Vec<(usize, usize, bool)> {
        let mut recipe = Recipe::from(Phases::from_python(text).unwrap());
        fields.iter().for_each(|(field, value)| recipe.set(field, value).unwrap());
        let plan = Plan::resolve(&recipe, &PlanInput::uniform(1, 1000)).unwrap();
        plan.epochs.iter().map(|epoch| (epoch.val_size, epoch.val_batch, epoch.rect_val)).collect()
    };
    let as_phases_say = [(128, 600, false), (224, 256, true), (224, 256, true)];
    assert_eq!(of(&[]), as_phases_say);
    assert_eq!(of(&[("evaluate.size", "training"), ("evaluate.rectangular", "phases")]), as_phases_say);
    // One size has one batch in all epochs, which does not follow training's.
    assert_eq!(of(&[("evaluate.size", "256"), ("rect_val", "true")]), [(256, 128, true); 3]);
    assert_eq!(of(&[("evaluate.size", "224"), ("rect_val", "false")]), [(224, 256, false); 3]);
    assert_eq!(of(&[("evaluate.size", "576")])[0], (576, 32, false));
    assert_eq!(of(&[("evaluate.size", "65535")])[0], (65535, 1, false));
}

#[test]
fn absurd_numbers_of_images_do_not_overflow() {
    let plan = plan("[{'ep': 0, 'sz': 64, 'bs': 1}, {'ep': (0, 9), 'lr': (0, 1)}]", 1, usize::MAX).unwrap();
    assert_eq!((plan.epochs[0].steps, plan.total_steps()), (usize::MAX, usize::MAX));
    assert!(plan.epochs[8].lr_last().is_finite());
}
