//! Properties: the parsers never panic, what is rendered reads back, and every step of a plan has
//! one rate and size.

use in18_recipe::{
    Augment, Average, Batch, Bias, BlurPool, CentreCrop, ClassWeights, Course, Curve, DEFAULT_MIN_SCALE, Data,
    DataPhase, Epochs, Evaluate, EvaluationSize, Flip, GradientType, Head, Initial, Jitter, Kind, Loss, LossKind,
    LossScale, LrPhase, MadeFor, Network, Optimizer, OptimizerKind, PRESETS, Phase, Phases, Plan, PlanInput, Precision,
    Rate, Reached, Recipe, Rectangular, Schedule, Shortcut, Shuffle, Stem, Tta, WeightRule,
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
            size: Some(size.into()),
            batch: batch.into(),
            train_dir,
            val_dir,
            min_scale: min_scale.map(Course::Constant),
            rect_val,
            ..DataPhase::default()
        })
}

fn whole(start: usize, end: usize) -> Epochs {
    Epochs::Span(start as f64, end as f64)
}

fn lr_phase(start: usize) -> impl Strategy<Value = (Epochs, LrPhase)> {
    let constant =
        (rate(), 0usize..9, any::<bool>(), any::<bool>()).prop_map(move |(rate, length, span, epoch_step)| {
            let ep = if span { whole(start, start + length) } else { Epochs::From(start as f64) };
            (ep, LrPhase { rate: Rate::Constant(rate), epoch_step })
        });
    let linear = (rate(), rate(), 1usize..9, any::<bool>()).prop_map(move |(from, to, length, epoch_step)| {
        (whole(start, start + length), LrPhase { rate: Rate::Linear(from, to), epoch_step })
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
                    data = DataPhase { batch: data.batch.clone(), keep_dl: true, ..DataPhase::default() };
                }
                Phase {
                    ep: Epochs::From(if epoch == first_epoch { 0.0 } else { epoch as f64 }),
                    data: Some(data),
                    lr: None,
                }
            })
            .collect();
        phases.extend(std::iter::once(first).chain(rates).map(|(ep, lr)| Phase { ep, data: None, lr: Some(lr) }));
        if let Some((data, (ep, lr))) = joined {
            phases.push(Phase { ep, data: Some(data), lr: Some(lr) });
        }
        if end {
            let lr = Some(LrPhase { rate: Rate::Constant(0.5), epoch_step: false });
            phases.push(Phase { ep: whole(2, 40), data: None, lr });
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

fn augment() -> impl Strategy<Value = Augment> {
    let flip = proptest::sample::select(&[Flip::None, Flip::Random, Flip::Alternating][..]);
    // Phases' own 'min_scale' goes up to 1, and no phase may exceed the upper bound.
    let bounds = (0.01..=1.0, 0.1..=1.0, 1.0..=3.0);
    // Phases may have batches of one image, which cannot be mixed.
    let colours = (0.0..=1.0, proptest::array::uniform3(0.0..=1.0));
    (bounds, flip, colours).prop_map(|((min_scale, low, high), flip, (erase, [brightness, contrast, saturation]))| {
        let (ratio, jitter) = ([low, high], Jitter { brightness, contrast, saturation });
        Augment { min_scale, max_scale: 1.0, ratio, flip, erase, jitter, ..Augment::default() }
    })
}

fn average() -> impl Strategy<Value = Average> {
    (option::of((0.01..1e6, 1usize..1000)), 0usize..1000, 0.001..0.999).prop_map(|(ema, lookahead, lookahead_decay)| {
        let (ema_half_life, every) = ema.unwrap_or((0.0, 1));
        Average { ema_half_life, every, lookahead, lookahead_decay }
    })
}

fn loss() -> impl Strategy<Value = Loss> {
    let weights = prop_oneof![
        Just(ClassWeights::Rule(WeightRule::Alike)),
        Just(ClassWeights::Rule(WeightRule::Balanced)),
        proptest::collection::vec(0.001..10.0, 1..5).prop_map(ClassWeights::List),
    ];
    (any::<bool>(), 0.0..0.999, weights, loss_scale()).prop_map(|(binary, smoothing, class_weights, scale)| {
        let kind = if binary { LossKind::Binary } else { LossKind::CrossEntropy };
        Loss { kind, smoothing, class_weights, scale }
    })
}

fn optimizer() -> impl Strategy<Value = Optimizer> {
    let gradients = any::<bool>().prop_map(|all| if all { GradientType::Fp32 } else { GradientType::Compute });
    let numbers = (0.0..0.9999, 0.0..10.0, option::of(0.0001..10.0), option::of(0.01..100.0));
    (numbers, any::<[bool; 4]>(), gradients).prop_map(
        |((momentum, penalty, lars, clip_norm), [no_bn_wd, no_bias_wd, decoupled, nesterov], gradients)| {
            let (kind, trust) = lars.map_or((OptimizerKind::Sgd, 1e-3), |trust| (OptimizerKind::Lars, trust));
            let decoupled = decoupled && kind == OptimizerKind::Sgd;
            Optimizer {
                kind,
                rate: None,
                momentum: Curve::Constant(momentum),
                weight_decay: if decoupled { penalty / 11.0 } else { penalty },
                no_bn_wd,
                no_bias_wd,
                decoupled,
                nesterov,
                trust,
                clip_norm: clip_norm.unwrap_or(0.0),
                gradients,
            }
        },
    )
}

fn evaluate() -> impl Strategy<Value = Evaluate> {
    let tta = proptest::sample::select(&[Tta::None, Tta::Flip, Tta::FlipLogits][..]);
    let size = prop_oneof![Just(EvaluationSize::Training), (1usize..=65535).prop_map(EvaluationSize::Pixels)];
    let crop = prop_oneof![Just(CentreCrop::Original), (0.1..1.0).prop_map(CentreCrop::Share)];
    let rectangular = prop_oneof![Just(Rectangular::Phases), any::<bool>().prop_map(Rectangular::Always)];
    let all = (tta, size, crop, rectangular);
    all.prop_map(|(tta, size, crop, rectangular)| Evaluate { tta, size, crop, rectangular })
}

/// What decides how a network is made and updated.
fn sections() -> impl Strategy<Value = Recipe> {
    let precision = proptest::sample::select(&[Precision::Auto, Precision::Bf16, Precision::Fp16, Precision::Fp32][..]);
    let blurpool = proptest::sample::select(&[BlurPool::None, BlurPool::Convolutions, BlurPool::All][..]);
    let stem = proptest::sample::select(&[Stem::Auto, Stem::Original, Stem::Deep][..]);
    let shortcut = proptest::sample::select(&[Shortcut::Auto, Shortcut::Conv, Shortcut::Pool][..]);
    let network = (any::<String>(), precision, stem, shortcut, blurpool);
    let network = network.prop_map(|(arch, precision, stem, shortcut, blurpool)| Network {
        arch,
        precision,
        stem,
        shortcut,
        blurpool,
    });
    let initial = (any::<[bool; 4]>(), option::of((any::<String>(), any::<bool>()))).prop_map(|(choices, file)| {
        let (from, new_head) = file.map_or((None, false), |(from, new_head)| (Some(from), new_head));
        let [bn0, zero_gamma, normal, prior] = choices;
        let head = if normal { Head::Normal } else { Head::Uniform };
        let bias = if prior { Bias::Prior } else { Bias::Uniform };
        Initial { bn0, zero_gamma, head, bias, from, new_head }
    });
    let optimizer = optimizer();
    let data = any::<[bool; 3]>().prop_map(|[window, drop_last, exif]| Data {
        shuffle: if window { Shuffle::Window } else { Shuffle::Full },
        drop_last,
        exif,
    });
    let made_for = (1usize..1 << 40, option::of(any::<String>()));
    let made_for = option::of(made_for.prop_map(|(devices, device)| MadeFor { devices, device }));
    let reached = any::<[String; 3]>().prop_map(|[accuracy, time, source]| Reached { accuracy, time, source });
    let texts = (option::of(any::<String>()), option::of(any::<String>()), any::<u64>(), option::of(reached));
    let optimizer = (optimizer, average());
    let augment = (augment(), evaluate());
    (network, initial, loss(), optimizer, data, augment, made_for, texts).prop_map(
        |(network, initial, loss, optimizer, data, (augment, evaluate), made_for, (name, about, seed, reached))| {
            let (optimizer, average) = optimizer;
            let phases = Phases::default();
            Recipe {
                name,
                about,
                seed,
                epochs: None,
                network,
                initial,
                loss,
                optimizer,
                average,
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
        (Rate::Linear(from, to), Epochs::Span(start, end)) => (from, to, (start as usize, end as usize)),
        _ => unreachable!("a pair of rates without a pair of epochs is refused"),
    };
    let batch_curr = if epoch_step { 0 } else { batch_curr };
    let (epoch_curr, epoch_tot) = (epoch - ep_start, ep_end - ep_start);
    let step_tot = epoch_tot * batch_tot;
    let step_curr = epoch_curr * batch_tot + batch_curr;
    let step_size = (lr_end - lr_start) / step_tot as f64;
    lr_start + step_curr as f64 * step_size
}

fn curve(top: f64) -> impl Strategy<Value = Schedule> {
    const KINDS: [Kind; 7] =
        [Kind::Constant, Kind::Linear, Kind::Cosine, Kind::Rex, Kind::Polynomial, Kind::Steps, Kind::Cycle];
    let kind = proptest::sample::select(&KINDS[..]);
    let warmup = option::of((0.01..1.9_f64, option::of(0.0..top)));
    (kind, 0.0..top, 0.0..top, 0.0..top, 0.2..4.0_f64, warmup, 0.05..0.95_f64, any::<bool>()).prop_map(
        |(kind, from, to, peak, power, warmup, rise, epoch_step)| {
            let mut curve = Schedule { epoch_step, ..Schedule::new(kind, from, None) };
            match kind {
                Kind::Constant => {}
                Kind::Steps => (curve.at, curve.factor) = (Some(vec![1.95, 2.5]), Some(0.5)),
                Kind::Cycle => (curve.to, curve.peak, curve.rise) = (Some(to), Some(peak), Some(rise)),
                Kind::Polynomial => (curve.to, curve.power) = (Some(to), Some(power)),
                Kind::Linear | Kind::Cosine | Kind::Rex => curve.to = Some(to),
            }
            if let Some((epochs, first)) = warmup.filter(|_| kind != Kind::Cycle) {
                (curve.warmup, curve.warmup_from) = (Some(epochs), first);
            }
            curve
        },
    )
}

/// Phases without rates for a run of 2 to 8 epochs: one size, then one that moves, then one.
fn moving() -> impl Strategy<Value = Phases> {
    let batch = prop_oneof![
        (1usize..20).prop_map(|images| (Some(images), None)),
        (1usize..20, 8usize..200).prop_map(|(images, at)| (Some(images), Some(at))),
        Just((None, None))
    ];
    let sizes = (1usize..6, 1usize..6, 1usize..40);
    (sizes, batch, 0.0..0.9_f64, 0.1..1.0_f64, option::of((0.01..=1.0, 0.01..=1.0)), 1usize..20).prop_map(
        |((from, to, every), (images, at), start, length, scales, first)| {
            let (from, to) = (from * every, to * every);
            let (low, high) = (from.min(to), from.max(to));
            let batch = match images {
                Some(images) => Batch::One(images),
                None => Batch::BySize([(low, 9), (high, 5)].into_iter().collect()),
            };
            let moving = DataPhase {
                size: Some(Course::Linear(from, to)),
                every: Some(every),
                batch,
                batch_at: at,
                min_scale: scales.map(|(from, to)| Course::Linear(from, to)),
                ..DataPhase::default()
            };
            let still =
                |size: usize| DataPhase { size: Some(size.into()), batch: first.into(), ..DataPhase::default() };
            let phase = |ep, data| Phase { ep, data: Some(data), lr: None };
            let (start, end) = (start + 0.001, start + length);
            let (start, end) = (start.min(end - 0.01), end);
            Phases {
                phases: vec![
                    phase(Epochs::From(0.0), still(from)),
                    phase(Epochs::Span(start.max(0.0005), end.max(start + 0.005)), moving),
                    phase(Epochs::From(end.max(start + 0.005)), still(to)),
                ],
            }
        },
    )
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
        set.optimizer.momentum = recipe.optimizer.momentum.clone();
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
        let end = phases.phases.iter().filter(|phase| phase.lr.is_some()).map(|phase| phase.ep.last_named() as usize).max().unwrap();
        let plan = Plan::resolve(&Recipe::from(phases.clone()), &PlanInput::uniform(world, images));
        if end == 0 {
            prop_assert!(plan.is_err());
            return Ok(());
        }
        let plan = plan.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(plan.epochs.len(), end);

        for (epoch, found) in plan.epochs.iter().enumerate() {
            prop_assert_eq!(found.epoch, epoch);
            let started = || phases.phases.iter().filter(|phase| phase.ep.start() <= epoch as f64);
            let latest = |keeps: &dyn Fn(&DataPhase) -> bool| {
                started().filter(|phase| phase.data.as_ref().is_some_and(keeps)).max_by(|a, b| a.ep.start().total_cmp(&b.ep.start())).unwrap()
            };
            let loaded = latest(&|data| !data.keep_dl);
            let batched = latest(&|_| true);
            let data = loaded.data.as_ref().unwrap();
            prop_assert_eq!(Some(Course::Constant(found.size)), data.size);
            prop_assert_eq!(&Batch::One(found.batch), &batched.data.as_ref().unwrap().batch);
            prop_assert_eq!(&found.train_dir, data.train_dir.as_deref().unwrap_or(""));
            prop_assert_eq!(&found.val_dir, data.val_dir.as_ref().unwrap_or(&found.train_dir));
            prop_assert_eq!(Course::Constant(found.min_scale), data.min_scale.unwrap_or(Course::Constant(DEFAULT_MIN_SCALE)));
            prop_assert_eq!(found.rect_val, data.rect_val == Some(true));
            prop_assert_eq!(found.new_data, loaded.ep.start() == epoch as f64);
            prop_assert_eq!(found.keep_dl, batched.ep.start() == epoch as f64 && loaded.ep.start() != epoch as f64);
            let least = match found.size { 128 => 512, 224 => 256, _ => 128 };
            let Batch::One(loaded_batch) = data.batch else { unreachable!("these phases have one batch") };
            prop_assert_eq!(found.val_batch, loaded_batch.max(least));
            prop_assert_eq!(found.stretches.len(), 1);

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
                        let (start, end) = (start as usize, end as usize);
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

    /// A curve over the run has one finite value a step, within its ends, and no jump but steps.
    #[test]
    fn every_step_has_one_value_of_a_curve_and_joins_are_continuous(rate in curve(4.0), momentum in curve(0.99), epochs in 3.0..6.0_f64) {
        let phases = Phases::from_python("[{'ep': 0, 'sz': 64, 'bs': 2}]").unwrap();
        let mut recipe = Recipe { epochs: Some(epochs), ..Recipe::from(phases) };
        recipe.optimizer.rate = Some(Curve::Over(Box::new(rate.clone())));
        recipe.optimizer.momentum = Curve::Over(Box::new(momentum.clone()));
        prop_assert_eq!(Recipe::from_toml(&recipe.to_toml()), Ok(recipe.clone()));
        let plan = Plan::resolve(&recipe, &PlanInput::uniform(1, 2000)).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(plan.total_steps(), (epochs * 1000.0 - 1e-5).ceil() as usize);
        let mut last: Option<(f64, f64)> = None;
        for epoch in &plan.epochs {
            for step in 1..=epoch.steps {
                let now = plan.step(epoch.epoch, step);
                for (curve, value) in [(&rate, now.rate), (&momentum, now.momentum)] {
                    let ends = [Some(curve.from), curve.to, curve.peak, Some(curve.warmup_from.unwrap_or(0.0)).filter(|_| curve.warmup.is_some())];
                    let ends = || ends.iter().flatten().copied();
                    let least = if curve.kind == Kind::Steps { 0.0 } else { ends().fold(f64::INFINITY, f64::min) };
                    let most = ends().fold(0.0, f64::max);
                    prop_assert!((least - 1e-12..=most + 1e-12).contains(&value), "{value} in {curve:?}");
                }
                if let Some((rate_before, momentum_before)) = last {
                    for (curve, before, now) in [(&rate, rate_before, now.rate), (&momentum, momentum_before, now.momentum)] {
                        // In a thousandth of an epoch: the shortest way takes a hundredth. A
                        // polynomial with a small power and REX are steep at their ends.
                        let is_smooth = curve.kind != Kind::Steps && !curve.epoch_step;
                        let steep = if curve.kind == Kind::Polynomial { 1.7 } else { 0.2 };
                        prop_assert!(!is_smooth || (now - before).abs() <= steep * 4.0, "{before} {now} {curve:?}");
                    }
                }
                last = Some((now.rate, now.momentum));
            }
        }
    }

    /// The rules of moving sizes once more, step by step: each image of the share is seen once, and
    /// each step has the multiple of `every` that is nearest to the line.
    #[test]
    fn every_step_has_one_size_and_each_image_is_seen_once(phases in moving(), epochs in 2.0..4.0_f64, images in 100usize..3000) {
        let mut recipe = Recipe { epochs: Some(epochs), ..Recipe::from(phases.clone()) };
        recipe.optimizer.rate = Some(Curve::Constant(0.1));
        prop_assert_eq!(Phases::from_python(&phases.to_python()), Ok(phases.clone()));
        prop_assert_eq!(Recipe::from_toml(&recipe.to_toml()), Ok(recipe.clone()));
        let Ok(plan) = Plan::resolve(&recipe, &PlanInput::uniform(1, images)) else { return Ok(()) };
        let moving = phases.phases[1].data.clone().unwrap();
        let (Some(Course::Linear(from, to)), Some(every)) = (moving.size, moving.every) else { unreachable!() };
        let Epochs::Span(start, end) = phases.phases[1].ep else { unreachable!() };
        for epoch in &plan.epochs {
            let mut seen = 0;
            for n in 1..=epoch.steps {
                let place = epoch.epoch as f64 + seen as f64 / images as f64;
                prop_assert!(seen < images && place < epochs, "step {n} of epoch {} starts at {place}", epoch.epoch);
                let step = plan.step(epoch.epoch, n);
                let t = ((place - start) / (end - start)).clamp(0.0, 1.0);
                let line = from as f64 + (to as f64 - from as f64) * t;
                prop_assert!((step.size as f64 - line).abs() <= every as f64 / 2.0 + 1e-4, "{} at {line}", step.size);
                prop_assert_eq!(step.size % every, 0);
                prop_assert_eq!(epoch.images_through(n - 1), seen);
                if let (Batch::One(images), Some(at), true) = (&moving.batch, moving.batch_at, place > start + 1e-6 && place < end - 1e-6) {
                    let pixels = images * at * at;
                    prop_assert!(step.batch == 1 || step.batch * step.size * step.size <= pixels);
                    prop_assert!((step.batch + 1) * step.size * step.size > pixels);
                }
                seen += step.batch;
            }
            let whole = epoch.epoch + 1 < plan.epochs.len();
            prop_assert!(!whole || seen >= images, "epoch {} ends after {seen} images", epoch.epoch);
        }
        let last = plan.epochs.last().unwrap();
        let ended = last.epoch as f64 + last.images_through(last.steps) as f64 / images as f64;
        prop_assert!(ended >= epochs - 1e-6, "{ended}");
    }
}
