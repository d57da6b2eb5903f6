//! Properties: the parsers never panic, what is rendered reads back, and every step of a plan has
//! one rate and size.

use in18_recipe::{
    Augment, BlurPool, Curve, DEFAULT_MIN_SCALE, Data, DataPhase, Epochs, Evaluate, GradientType, Initial, Loss,
    LossScale, LrPhase, MadeFor, Network, Optimizer, PRESETS, Phase, Phases, Plan, PlanInput, Precision, Rate, Reached,
    Recipe, Shuffle,
};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

/// Text that a literal is made of, so that random strings get past the first character.
const PIECES: [&str; 34] = [
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ",",
    ":",
    "'",
    "\"",
    "\\",
    "\\x",
    "\\u",
    "#",
    "\n",
    " ",
    "'ep'",
    "'sz'",
    "'bs'",
    "'lr'",
    "'ep': ",
    "{'ep': 0, ",
    "True",
    "None",
    "lr",
    "0",
    "7",
    "1e",
    ".",
    "-",
    "+",
    "_",
    "0x",
    "é",
];

fn suffix() -> impl Strategy<Value = String> {
    prop_oneof![Just("-sz/160".to_owned()), any::<String>()]
}

fn rate() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..4.0, Just(0.0), 1e-12..1e-3, 1e3..1e9]
}

fn data_phase() -> impl Strategy<Value = DataPhase> {
    (1usize..400, 1usize..64, option::of(suffix()), option::of(suffix()), option::of(0.01..=1.0), any::<Option<bool>>())
        .prop_map(|(size, batch, train_dir, val_dir, min_scale, rect_val)| DataPhase {
            size: Some(size),
            batch,
            train_dir,
            val_dir,
            min_scale,
            rect_val,
            keep_dl: false,
        })
}

fn lr_phase(start: usize) -> impl Strategy<Value = (Epochs, LrPhase)> {
    let constant =
        (rate(), 0usize..9, any::<bool>(), any::<bool>()).prop_map(move |(rate, length, span, epoch_step)| {
            let ep = if span { Epochs::Span(start, start + length) } else { Epochs::From(start) };
            (ep, LrPhase { rate: Rate::Constant(rate), epoch_step })
        });
    let linear = (rate(), rate(), 1usize..9, any::<bool>()).prop_map(move |(from, to, length, epoch_step)| {
        (Epochs::Span(start, start + length), LrPhase { rate: Rate::Linear(from, to), epoch_step })
    });
    prop_oneof![constant, linear]
}

/// Phases that make a plan: data and a rate from epoch 0 on, data phases at distinct epochs, some
/// keeping the data, some joined with a rate phase, in any order.
fn phases() -> impl Strategy<Value = Phases> {
    let data = proptest::collection::btree_map(0usize..20, (data_phase(), any::<bool>()), 1..5);
    let rates = proptest::collection::vec((0usize..20).prop_flat_map(lr_phase), 0..6);
    let joined = option::of((data_phase(), lr_phase(30)));
    (data, lr_phase(0), rates, joined, any::<bool>()).prop_flat_map(|(data, first, rates, joined, end)| {
        let first_epoch = *data.first_key_value().unwrap().0;
        let mut phases: Vec<Phase> = data
            .into_iter()
            .map(|(epoch, (mut data, keep))| {
                if keep && epoch != first_epoch {
                    data = DataPhase { batch: data.batch, keep_dl: true, ..DataPhase::default() };
                }
                Phase { ep: Epochs::From(if epoch == first_epoch { 0 } else { epoch }), data: Some(data), lr: None }
            })
            .collect();
        phases.extend(std::iter::once(first).chain(rates).map(|(ep, lr)| Phase { ep, data: None, lr: Some(lr) }));
        if let Some((data, (ep, lr))) = joined {
            phases.push(Phase { ep, data: Some(data), lr: Some(lr) });
        }
        if end {
            let lr = Some(LrPhase { rate: Rate::Constant(0.5), epoch_step: false });
            phases.push(Phase { ep: Epochs::Span(2, 40), data: None, lr });
        }
        Just(phases).prop_shuffle().prop_map(|phases| Phases { phases })
    })
}

fn loss_scale() -> impl Strategy<Value = LossScale> {
    (1e-6..1e9, any::<bool>()).prop_map(|(scale, is_fixed)| match is_fixed {
        true => LossScale::Fixed(scale),
        false => LossScale::Dynamic { first: scale },
    })
}

/// What decides how a network is made and updated.
fn sections() -> impl Strategy<Value = Recipe> {
    let precision = proptest::sample::select(&[Precision::Auto, Precision::Bf16, Precision::Fp16, Precision::Fp32][..]);
    let blurpool = proptest::sample::select(&[BlurPool::None, BlurPool::Convolutions, BlurPool::All][..]);
    let network = (any::<String>(), precision, blurpool).prop_map(|(arch, precision, blurpool)| Network {
        arch,
        precision,
        blurpool,
    });
    let initial = (any::<bool>(), option::of((any::<String>(), any::<bool>()))).prop_map(|(bn0, file)| {
        let (from, new_head) = file.map_or((None, false), |(from, new_head)| (Some(from), new_head));
        Initial { bn0, from, new_head }
    });
    let gradients = proptest::sample::select(&[GradientType::Fp32, GradientType::Compute][..]);
    let optimizer =
        (0.0..0.9999, 0.0..10.0, any::<bool>(), gradients).prop_map(|(momentum, weight_decay, no_bn_wd, gradients)| {
            Optimizer { momentum: Curve::Constant(momentum), weight_decay, no_bn_wd, gradients }
        });
    let data = any::<[bool; 3]>().prop_map(|[window, drop_last, exif]| Data {
        shuffle: if window { Shuffle::Window } else { Shuffle::Full },
        drop_last,
        exif,
    });
    let made_for = (1usize..1 << 40, option::of(any::<String>()));
    let made_for = option::of(made_for.prop_map(|(devices, device)| MadeFor { devices, device }));
    let reached = any::<[String; 3]>().prop_map(|[accuracy, time, source]| Reached { accuracy, time, source });
    let texts = (option::of(any::<String>()), option::of(any::<String>()), any::<u64>(), option::of(reached));
    let augment = (0.01..=1.0, any::<bool>());
    (network, initial, loss_scale(), optimizer, data, augment, made_for, texts).prop_map(
        |(
            network,
            initial,
            scale,
            optimizer,
            data,
            (min_scale, rectangular),
            made_for,
            (name, about, seed, reached),
        )| {
            let (augment, evaluate) = (Augment { min_scale }, Evaluate { rectangular });
            let (loss, phases) = (Loss { scale }, Phases::default());
            Recipe {
                name,
                about,
                seed,
                network,
                initial,
                loss,
                optimizer,
                data,
                augment,
                evaluate,
                phases,
                made_for,
                reached,
            }
        },
    )
}

/// The original trainer's `linear_lr` and `calc_linear_lr`, line by line: whole numbers are whole
/// there, too.
fn originals_rate(phase: &Phase, (epoch, batch_curr, batch_tot): (usize, usize, usize)) -> f64 {
    let LrPhase { rate, epoch_step } = phase.lr.unwrap();
    let (lr_start, lr_end, (ep_start, ep_end)) = match (rate, phase.ep) {
        (Rate::Constant(rate), _) => return rate,
        (Rate::Linear(from, to), Epochs::Span(start, end)) => (from, to, (start, end)),
        _ => unreachable!("a pair of rates without a pair of epochs is refused"),
    };
    let batch_curr = if epoch_step { 0 } else { batch_curr };
    let (epoch_curr, epoch_tot) = (epoch - ep_start, ep_end - ep_start);
    let step_tot = epoch_tot * batch_tot;
    let step_curr = epoch_curr * batch_tot + batch_curr;
    let step_size = (lr_end - lr_start) / step_tot as f64;
    lr_start + step_curr as f64 * step_size
}

proptest! {
    // A failure prints its smallest input: make it a case of a table test.
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        let _ = Phases::from_python(&text);
        let _ = Recipe::from_toml(&text);
    }

    #[test]
    fn text_made_of_the_grammars_pieces_never_panics(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)) {
        let text = pieces.concat();
        if let Err(error) = Phases::from_python(&text) {
            let message = error.to_string();
            prop_assert!(!message.contains('\n'), "{message}");
            // The column stands inside the line, or right after it.
            let line = text.split('\n').nth(error.at().line.unwrap_or(1) - 1).unwrap();
            prop_assert!((1..=line.chars().count() + 1).contains(&error.at().column), "{message}: {text:?}");
        }
    }

    #[test]
    fn mutated_recipes_never_panic(
        preset in 0..PRESETS.len(),
        edits in proptest::collection::vec((any::<Index>(), 0usize..4, proptest::sample::select(&PIECES[..])), 1..6),
    ) {
        let (toml, recipe) = (PRESETS[preset].toml.to_owned(), PRESETS[preset].recipe());
        for text in [PRESETS[preset].summary().text, recipe.phases.to_python(), toml, recipe.to_toml()] {
            let mut text: Vec<char> = text.chars().collect();
            for (place, removed, inserted) in &edits {
                let start = place.index(text.len() + 1);
                let end = (start + removed).min(text.len());
                text.splice(start..end, inserted.chars());
            }
            let text: String = text.into_iter().collect();
            if let Ok(phases) = Phases::from_python(&text) {
                let _ = Plan::resolve(&Recipe::from(phases), &PlanInput::uniform(8, 100_000));
            }
            if let Ok(recipe) = Recipe::from_toml(&text) {
                let _ = Plan::resolve(&recipe, &PlanInput::uniform(8, 100_000));
            }
        }
    }

    #[test]
    fn rendered_recipes_read_back(phases in phases(), sections in sections()) {
        let python = phases.to_python();
        prop_assert_eq!(Phases::from_python(&python), Ok(phases.clone()), "{}", python);
        let recipe = Recipe { phases, ..sections };
        let toml = recipe.to_toml();
        prop_assert_eq!(Recipe::from_toml(&toml), Ok(recipe), "{}", toml);
    }

    /// One that is set is the only one that changes, whatever the others hold.
    #[test]
    fn fields_are_set_alone(phases in phases(), sections in sections(), momentum in 0.0..0.9999_f64) {
        let recipe = Recipe { phases, ..sections };
        let mut set = recipe.clone();
        set.set("optimizer.momentum", &momentum.to_string()).unwrap();
        prop_assert_eq!(set.optimizer.momentum, Curve::Constant(momentum));
        set.optimizer.momentum = recipe.optimizer.momentum;
        prop_assert_eq!(set, recipe);
    }

    #[test]
    fn fields_of_any_name_and_value_never_panic(field in any::<String>(), value in any::<String>()) {
        for field in [field, "phases".to_owned(), "network.arch".to_owned(), "loss.scale".to_owned()] {
            let _ = PRESETS[0].recipe().set(&field, &value);
        }
    }

    /// The rules once more, in the slowest and most obvious way, step by step.
    #[test]
    fn every_step_has_exactly_one_rate_and_size(phases in phases(), world in 1usize..9, images in 600usize..900) {
        let end = phases.phases.iter().filter(|phase| phase.lr.is_some()).map(|phase| phase.ep.last_named()).max().unwrap();
        let plan = Plan::resolve(&Recipe::from(phases.clone()), &PlanInput::uniform(world, images));
        if end == 0 {
            prop_assert!(plan.is_err());
            return Ok(());
        }
        let plan = plan.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(plan.epochs.len(), end);

        for (epoch, found) in plan.epochs.iter().enumerate() {
            prop_assert_eq!(found.epoch, epoch);
            let started = || phases.phases.iter().filter(|phase| phase.ep.start() <= epoch);
            let latest = |keeps: &dyn Fn(&DataPhase) -> bool| {
                started().filter(|phase| phase.data.as_ref().is_some_and(keeps)).max_by_key(|phase| phase.ep.start()).unwrap()
            };
            let loaded = latest(&|data| !data.keep_dl);
            let batched = latest(&|_| true);
            let data = loaded.data.as_ref().unwrap();
            prop_assert_eq!(Some(found.size), data.size);
            prop_assert_eq!(found.batch, batched.data.as_ref().unwrap().batch);
            prop_assert_eq!(&found.train_dir, data.train_dir.as_deref().unwrap_or(""));
            prop_assert_eq!(&found.val_dir, data.val_dir.as_ref().unwrap_or(&found.train_dir));
            prop_assert_eq!(found.min_scale, data.min_scale.unwrap_or(DEFAULT_MIN_SCALE));
            prop_assert_eq!(found.rect_val, data.rect_val == Some(true));
            prop_assert_eq!(found.new_data, loaded.ep.start() == epoch);
            prop_assert_eq!(found.keep_dl, batched.ep.start() == epoch && loaded.ep.start() != epoch);
            let least = match found.size { 128 => 512, 224 => 256, _ => 128 };
            prop_assert_eq!(found.val_batch, data.batch.max(least));

            // Each device's share, batch by batch.
            let mut left = images.div_ceil(world);
            let mut steps = 0;
            while left > 0 {
                left -= left.min(found.batch);
                steps += 1;
            }
            prop_assert_eq!(found.steps, steps);

            let rated = started().rfind(|phase| phase.lr.is_some()).unwrap();
            for step in 1..=steps {
                let wanted = match (rated.lr.unwrap(), rated.ep) {
                    (LrPhase { rate: Rate::Constant(rate), .. }, _) => rate,
                    (LrPhase { rate: Rate::Linear(from, to), epoch_step }, Epochs::Span(start, end)) => {
                        let step = if epoch_step { 0 } else { step };
                        from + (to - from) * ((epoch - start) * steps + step) as f64 / ((end - start) * steps) as f64
                    }
                    _ => unreachable!("a pair of rates without a pair of epochs is refused"),
                };
                let lr = found.lr(step);
                prop_assert!(lr.is_finite());
                prop_assert_eq!(plan.step(epoch, step).rate.to_bits(), lr.to_bits());
                prop_assert_eq!(lr.to_bits(), originals_rate(rated, (epoch, step, steps)).to_bits());
                // Against the largest number in the sum: the difference of two close ones may be
                // all rounding.
                let scale = match rated.lr.unwrap().rate {
                    Rate::Linear(from, to) => from.max(to).max(wanted.abs()),
                    Rate::Constant(rate) => rate,
                };
                prop_assert!((lr - wanted).abs() <= 1e-12 * scale, "epoch {epoch} step {step}: {lr} {wanted}");
            }
        }
    }
}
