//! Recipes as written: what TOML and `-o` hold, where a mistake is said to be, and what the
//! published ones are.

use in18_recipe::{
    Curve, GradientType, LossScale, MadeFor, OptimizerKind, PRESETS, Phases, Plan, PlanInput, Precision, Recipe,
    Shuffle, preset,
};

const TOML: &str = "# three phases\nname = 'small'\n\n[[phase]]\nep = 0\nsz = 96\nbs = 64\ntrndir = '-sz/160'\n\n\
    [[phase]]\nep = [0, 3]\nlr = [0.1, 4e-1]\nepoch_step = true\n\n[[phase]]\nep = 3\nlr = 1\n";

fn small() -> Recipe {
    Recipe::from_toml(TOML).unwrap()
}

#[test]
fn every_preset_survives_both_notations_and_makes_the_same_plan() {
    for preset in &PRESETS {
        let (recipe, name) = (preset.recipe(), preset.name);
        assert_eq!(recipe.name.as_deref(), Some(name));
        assert_eq!(Phases::from_python(&preset.summary().text).as_ref(), Ok(&recipe.phases), "{name}");
        assert_eq!(Phases::from_python(&recipe.phases.to_python()).as_ref(), Ok(&recipe.phases), "{name}");
        let read = Recipe::from_toml(&recipe.to_toml()).unwrap();
        assert_eq!(read, recipe, "{name}");
        let plan = |recipe| Plan::resolve(recipe, &PlanInput::uniform(3, 1_281_167)).unwrap();
        assert_eq!(plan(&read), plan(&recipe), "{name}");
    }
    assert_eq!(preset("no such"), None);
}

#[test]
fn every_preset_is_what_its_result_was_reached_with() {
    for preset in &PRESETS {
        let (Recipe { network, initial, optimizer, made_for, reached, .. }, name) = (preset.recipe(), preset.name);
        // Both trainers' command lines, see their sources: "--fp16 --distributed --init-bn0
        // --no-bn-wd", and ResNet-50 by default.
        assert_eq!((&*network.arch, initial.bn0, optimizer.no_bn_wd), ("resnet50", true, true), "{name}");
        assert_eq!((optimizer.momentum, optimizer.weight_decay), (Curve::Constant(0.9), 1e-4), "{name}");
        let MadeFor { devices, device } = made_for.unwrap();
        let (on, reached) = (format!(" on {devices} {}", device.unwrap()), reached.unwrap().to_string());
        assert!(reached.contains(&on), "{name}: {reached} and {on}");
    }
}

#[test]
fn a_toml_recipe_reads_as_its_python_twin() {
    let recipe = small();
    assert_eq!((recipe.name.as_deref(), &recipe.about), (Some("small"), &None));
    let python = "[{'ep': 0, 'sz': 96, 'bs': 64, 'trndir': '-sz/160'}, \
                  {'ep': (0, 3), 'lr': (0.1, 0.4), 'epoch_step': True}, {'ep': 3, 'lr': 1.0}]";
    assert_eq!(recipe.phases.to_python(), python);
    // Everything else is the original's.
    let phases = Phases::from_python(python).unwrap();
    assert_eq!(recipe, Recipe { name: Some("small".into()), ..Recipe::from(phases.clone()) });
    let by_text = Recipe::from_toml(&format!("phases = \"\"\"{python}\"\"\"\nname = 'small'")).unwrap();
    assert_eq!(by_text, recipe);
    let inline = Recipe::from_toml("phase = [{ ep = 0, lr = 0.1 }]").unwrap();
    assert_eq!(inline.phases.to_python(), "[{'ep': 0, 'lr': 0.1}]");
}

#[test]
fn fields_are_known_by_their_sections_and_by_short_names() {
    let phase = "phase = [{ ep = 0, lr = 0.1 }]";
    let short = format!("arch = 'resnet34'\ninit_bn0 = true\nno_bn_wd = false\ndevices = 4\n{phase}");
    let long = format!(
        "{phase}\n[network]\narch = 'resnet34'\n[initial]\nbn0 = true\n[optimizer]\nno_bn_wd = false\n[made_for]\ndevices = 4"
    );
    let recipe = Recipe::from_toml(&short).unwrap();
    assert_eq!((&*recipe.network.arch, recipe.initial.bn0, recipe.optimizer.no_bn_wd), ("resnet34", true, false));
    assert_eq!(recipe.made_for, Some(MadeFor { devices: 4, device: None }));
    assert_eq!(Recipe::from_toml(&long).as_ref(), Ok(&recipe));
    for text in [short, long] {
        let mut stated = Recipe::stated_in_toml(&text).unwrap();
        stated.sort();
        assert_eq!(stated, ["initial.bn0", "made_for.devices", "network.arch", "optimizer.no_bn_wd", "phase"]);
    }
}

#[test]
fn fields_are_set_one_by_one_in_the_order_given() {
    let mut recipe = small();
    for (field, value) in [
        ("optimizer.momentum", "0.5"),
        ("momentum", "0.95"),
        ("optimizer.weight_decay", "5e-5"),
        ("no_bn_wd", "true"),
        ("network.arch", "resnet18"),
        ("about", "two words = one string"),
        ("seed", "18446744073709551615"),
        ("loss.scale", "dynamic:4096"),
        ("gradients", "compute"),
        ("data.shuffle", "window"),
        ("augment.min_scale", "1.0"),
        ("augment.mixup", "0.2"),
        ("augment.cutmix", "1.0"),
        ("augment.erase", "0.25"),
        ("augment.jitter.saturation", "0.4"),
        ("evaluate.rectangular", "true"),
        ("evaluate.tta", "flip-logits"),
        ("evaluate.size", "256"),
        ("evaluate.crop", "0.875"),
        ("made_for.devices", "2"),
        ("initial.from", "net.safetensors"),
        ("new_head", "true"),
        ("name", "\"7\""),
        ("about", "7"),
    ] {
        recipe.set(field, value).unwrap_or_else(|error| panic!("{field}={value}: {error}"));
        assert_eq!(recipe.get(field).as_deref(), Some(value.trim_matches('"')), "{field}");
    }
    assert_eq!((recipe.optimizer.momentum.clone(), recipe.optimizer.weight_decay), (Curve::Constant(0.95), 5e-5));
    assert_eq!((recipe.seed, recipe.loss.scale), (u64::MAX, LossScale::Dynamic { first: 4096.0 }));
    assert_eq!((recipe.optimizer.gradients, recipe.data.shuffle), (GradientType::Compute, Shuffle::Window));
    assert_eq!((recipe.initial.from.as_deref(), recipe.initial.new_head), (Some("net.safetensors"), true));
    assert_eq!(recipe.phases, small().phases);
    assert_eq!(Recipe::from_toml(&recipe.to_toml()), Ok(recipe.clone()));

    for phases in ["[{ ep = 0, lr = 0.5 }]", "[{'ep': 0, 'lr': 0.5}]"] {
        recipe.set("phases", phases).unwrap();
        assert_eq!(recipe.phases.to_python(), "[{'ep': 0, 'lr': 0.5}]");
    }
    assert_eq!((recipe.get("nothing"), small().get("initial.from")), (None, None));
}

#[test]
fn fields_that_cannot_be_set_leave_the_recipe_as_it_was() {
    for (field, value, message) in [
        (
            "optimizer.momentun",
            "0.95",
            "optimizer: expected one of kind, rate, momentum, weight_decay, no_bn_wd, no_bias_wd, decoupled, nesterov, trust, clip_norm, gradients, \
             got 'momentun': did you mean 'momentum'?",
        ),
        (
            "optimiser.momentum",
            "0.95",
            "expected one of name, about, seed, epochs, network, initial, loss, optimizer, average, data, augment, evaluate, made_for, \
             reached, phase, got 'optimiser': did you mean 'optimizer'?",
        ),
        ("optimizer.momentum", "2", "expected a number from 0 to 1 (1 excluded), got 2"),
        (
            "momentum",
            "much",
            "expected a number, or a curve such as { kind = \"cosine\", from = 1, to = 0 }, got 'much'",
        ),
        (
            "optimizer.momentum.x",
            "1",
            "optimizer.momentum: expected one of kind, from, to, power, at, factor, peak, rise, anneal, warmup, \
             warmup_from, warmup_share, start, end, epoch_step, got 'x'",
        ),
        ("optimizer", "sgd", "expected a table, got 'sgd'"),
        ("loss.class_weights", "balancd", "expected alike, balanced, or a list of numbers, got 'balancd'"),
        ("loss.class_weights", "[1, 'x']", "expected a number, got (1, 'x')"),
        ("loss.class_weights", "[1, -1]", "expected numbers from 0 on, one for each class and not all 0, got -1"),
        ("loss.kind", "hinge", "expected one of cross_entropy, binary, got 'hinge'"),
        ("evaluate.tta", "flips", "expected one of none, flip, flip-logits, got 'flips': did you mean 'flip'?"),
        ("evaluate.size", "0", "expected training, or a size from 1 to 65535 pixels, got 0"),
        ("evaluate.size", "65536", "expected training, or a size from 1 to 65535 pixels, got 65536"),
        ("evaluate.size", "-8", "expected training, or a size from 1 to 65535 pixels, got -8"),
        ("evaluate.size", "224.5", "expected training, or a size from 1 to 65535 pixels, got 224.5"),
        ("evaluate.size", "test", "expected training, or a size from 1 to 65535 pixels, got 'test'"),
        ("evaluate.crop", "1.14", "expected original, or a share of the short side from 0.1 to 1, got 1.14"),
        ("evaluate.crop", "centre", "expected original, or a share of the short side from 0.1 to 1, got 'centre'"),
        ("evaluate.rectangular", "1", "expected phases, true or false, got 1"),
        ("evaluate.rect", "true", "evaluate: expected one of tta, size, crop, rectangular, got 'rect'"),
        ("loss.smoothing", "1", "expected a number from 0 to 1 (1 excluded), got 1"),
        ("optimizer.kind", "adam", "expected one of sgd, lars, got 'adam'"),
        ("optimizer.trust", "0", "expected a number above 0, got 0"),
        ("optimizer.trust", "0.01", "expected 0.001 where optimizer.kind is sgd, got 0.01"),
        ("optimizer.clip_norm", "-1", "expected a norm above 0, or 0 for no bound, got -1"),
        ("optimizer.clip_norm", "inf", "expected a norm above 0, or 0 for no bound, got inf"),
        ("average.ema_half_life", "-1", "expected a number of steps above 0, or 0 for no average, got -1"),
        ("average.every", "0", "expected a number of steps from 1 on, got 0"),
        ("average.every", "20", "expected 1 where average.ema_half_life is 0, got 20"),
        ("average.lookahead_decay", "1", "expected a number between 0 and 1, got 1"),
        ("augment.ratio", "[2, 1]", "expected two numbers above 0, the lower first, got [2.0, 1.0]"),
        ("augment.mixup", "-0.2", "expected 0 (off), or a number from 0.001 to 1000, got -0.2"),
        ("augment.cutmix", "nan", "expected 0 (off), or a number from 0.001 to 1000, got NaN"),
        ("augment.erase", "1.5", "expected a probability from 0 to 1, got 1.5"),
        ("augment.jitter.contrast", "-0.1", "expected a number from 0 to 10, got -0.1"),
        ("augment.jitter", "0.4", "expected a table, got 0.4"),
        ("augment.jitter.hue", "0.1", "augment.jitter: expected one of brightness, contrast, saturation, got 'hue'"),
        ("augment.cutmix", "true", "expected a number, got True"),
        ("name.x", "1", "name: expected a string, got a dict"),
        ("initial.new_head", "true", "expected 'from', a network's file, beside it, got none"),
        (
            "phases",
            "[{'ep': 0, 'lr': x}]",
            "column 18: expected a value, got the name 'x' (nothing is evaluated: write the resulting number)",
        ),
        ("phases", "[{ ep = 0, lr = 'x' }]", "column 17: phase 1: 'lr': expected a rate or a pair (from, to), got 'x'"),
        ("phases", "3", "expected a list of phases, got 3"),
        (
            "",
            "3",
            "expected one of name, about, seed, epochs, network, initial, loss, optimizer, average, data, augment, evaluate, made_for, reached, phase, got ''",
        ),
    ] {
        let mut recipe = small();
        assert_eq!(recipe.set(field, value).unwrap_err().to_string(), message, "{field}={value}");
        assert_eq!(recipe, small());
    }
}

#[test]
fn lars_has_a_trust_coefficient_and_no_decoupled_decay() {
    let mut recipe = small();
    recipe.set("optimizer.decoupled", "true").unwrap();
    let fault = recipe.set("optimizer.kind", "lars").unwrap_err().to_string();
    assert_eq!(fault, "optimizer.decoupled: expected false where optimizer.kind is lars, got true");
    recipe.set("optimizer.decoupled", "false").unwrap();
    recipe.set("optimizer.kind", "lars").unwrap();
    recipe.set("optimizer.trust", "0.0008").unwrap();
    assert_eq!((recipe.optimizer.kind, recipe.optimizer.trust), (OptimizerKind::Lars, 8e-4));
    assert_eq!(Recipe::from_toml(&recipe.to_toml()), Ok(recipe));
}

#[test]
fn a_recipe_as_computed_has_nothing_left_to_choose() {
    let mut recipe = small();
    recipe.set("loss.scale", "0.1").unwrap();
    recipe.set("gradients", "compute").unwrap();
    recipe.set("momentum", "0.90000000001").unwrap();
    let scale = |precision| recipe.computed_in(precision).loss.scale;
    assert_eq!(scale(Precision::Fp16), LossScale::Fixed(0.1));
    assert_eq!([Precision::Bf16, Precision::Fp32].map(scale), [LossScale::Fixed(1.0); 2]);
    let gradients = |precision| recipe.computed_in(precision).optimizer.gradients;
    assert_eq!(gradients(Precision::Bf16), GradientType::Compute);
    assert_eq!(gradients(Precision::Fp32), GradientType::Fp32);
    // In single precision there is no such number.
    assert_eq!(recipe.computed_in(Precision::Bf16).optimizer.momentum, Curve::Constant(0.9));
}

#[test]
fn loss_scales_are_numbers_or_dynamic() {
    for (text, scale) in [
        ("1024", Ok(LossScale::Fixed(1024.0))),
        ("dynamic", Ok(LossScale::Dynamic { first: 65536.0 })),
        ("dynamic:0.5", Ok(LossScale::Dynamic { first: 0.5 })),
        ("0", Err(())),
        ("-1", Err(())),
        ("inf", Err(())),
        ("1e999", Err(())),
        ("dynamic:0", Err(())),
        ("dynamic:", Err(())),
        ("fixed", Err(())),
        ("", Err(())),
    ] {
        let wrong = |message: String| assert_eq!(message, "expected a number above 0, or dynamic", "{text}");
        assert_eq!(text.parse::<LossScale>().map_err(wrong), scale, "{text}");
        if let Ok(scale) = scale {
            assert_eq!(scale.to_string(), text);
        }
    }
}

#[test]
fn mistakes_in_toml_are_named_at_their_line_and_column() {
    struct Case {
        text: &'static str,
        message: &'static str,
    }
    let cases = [
        Case { text: "", message: "column 1: expected at least one [[phase]], got none" },
        Case { text: "name = 'x'\n", message: "column 11: expected at least one [[phase]], got none" },
        Case {
            text: "# a\nphasse = 1\n",
            message: "line 2, column 1: expected one of name, about, seed, epochs, network, initial, loss, optimizer, average, data, \
                      augment, evaluate, made_for, reached, phase, got 'phasse': did you mean 'phase'?",
        },
        Case {
            text: "momntum = 0.9",
            message: "column 1: expected one of name, about, seed, epochs, network, initial, loss, optimizer, average, data, augment, \
                      evaluate, made_for, reached, phase, got 'momntum': did you mean 'optimizer.momentum'?",
        },
        Case {
            text: "# a\n[optimizer]\nmomentum = 0.9\nweigth_decay = 0.1\n",
            message: "line 4, column 1: optimizer: expected one of kind, rate, momentum, weight_decay, no_bn_wd, no_bias_wd, decoupled, nesterov, trust, clip_norm, gradients, got \
                      'weigth_decay': did you mean 'weight_decay'?",
        },
        Case {
            text: "[augment]\nrotate = 0.2\n",
            message: "line 2, column 1: augment: expected one of min_scale, max_scale, ratio, flip, mixup, cutmix, erase, \
                      jitter, got 'rotate'",
        },
        Case {
            text: "[network]\nprecision = 'bf61'\n",
            message: "line 2, column 13: network.precision: expected one of auto, bf16, fp16, fp32, got 'bf61': did you \
                      mean 'bf16'?",
        },
        Case {
            text: "[network]\nstem = 'shallow'\n",
            message: "line 2, column 8: network.stem: expected one of auto, original, deep, got 'shallow'",
        },
        Case {
            text: "[network]\nblurpool = 'conv'\n",
            message: "line 2, column 12: network.blurpool: expected one of none, convolutions, all, got 'conv'",
        },
        Case {
            text: "network = { precision = 16 }",
            message: "column 25: network.precision: expected one of auto, bf16, fp16, fp32, got 16",
        },
        Case {
            text: "[network]\nmomentum = 0.9",
            message: "line 2, column 1: network: expected one of arch, precision, stem, shortcut, blurpool, got 'momentum': \
                      did you mean 'optimizer.momentum'?",
        },
        Case { text: "optimizer = 0.9", message: "column 13: optimizer: expected a table, got 0.9" },
        Case { text: "seed = -1", message: "column 8: seed: expected a whole number that is not negative, got -1" },
        Case {
            text: "[loss]\nscale = 'big'",
            message: "line 2, column 9: loss.scale: expected a number above 0, or dynamic, got 'big'",
        },
        Case { text: "made_for = { device = 'V100' }", message: "column 12: made_for: expected 'devices', got none" },
        Case { text: "arch = 18", message: "column 8: network.arch: expected a string, got 18" },
        Case { text: "no_bn_wd = 1", message: "column 12: optimizer.no_bn_wd: expected true or false, got 1" },
        Case {
            text: "devices = -1",
            message: "column 11: made_for.devices: expected a whole number that is not negative, got -1",
        },
        Case { text: "name = 3", message: "column 8: name: expected a string, got 3" },
        Case {
            text: "no_bn_wd = true\n[optimizer]\nno_bn_wd = true\n",
            message: "line 1, column 1: expected optimizer.no_bn_wd once, got it twice: 'no_bn_wd' is its short name",
        },
        Case {
            text: "phase = []\nphases = []",
            message: "line 2, column 1: expected either [[phase]] or 'phases', got both",
        },
        Case {
            text: "about = 'x'\nphases = \"[{'ep': 0, 'lr': 1, 'bs': x}]\"",
            message: "line 2, column 10: phases: column 27: expected a value, got the name 'x' (nothing is evaluated: \
                      write the resulting number)",
        },
        Case {
            text: "# a\n[phase]\nep = 0",
            message: "line 2, column 1: expected tables that start with [[phase]], got a dict",
        },
        Case { text: "phase = [1]", message: "column 10: expected a phase '{...}', got 1" },
        Case {
            text: "[[phase]]\nep = 0\nlr = 'x'\n",
            message: "line 3, column 6: phase 1: 'lr': expected a rate or a pair (from, to), got 'x'",
        },
        Case {
            text: "[[phase]]\nep = 0\nlr = 0.1\n\n[[phase]]\nep = 5\nlr = [0.1, 0.4]\n",
            message: "line 6, column 6: phase 2: 'ep': expected a pair (start, end), because 'lr' is a pair, got 5",
        },
        Case {
            text: "[[phase]]\nep = 0\nlr = nan\n",
            message: "line 3, column 6: phase 1: 'lr': expected a finite rate that is not negative, got NaN",
        },
        Case {
            text: "[[phase]]\nep = 99999999999999999999\nlr = 1\n",
            message: "line 2, column 6: phase 1: 'ep': expected an epoch or a pair (start, end), got inf",
        },
        Case {
            text: "[[phase]]\nep = 1979-05-27\nlr = 1\n",
            message: "line 2, column 6: phase 1: 'ep': expected an epoch or a pair (start, end), got '1979-05-27'",
        },
    ];
    for Case { text, message } in cases {
        assert_eq!(Recipe::from_toml(text).map_err(|error| error.to_string()), Err(message.to_owned()), "{text:?}");
    }
    // What fields must meet beside their types, at their place.
    let phase = "\n[[phase]]\nep = 0\nlr = 0.1\n";
    for (text, message) in [
        ("devices = 0", "line 1, column 11: made_for.devices: expected a number from 1 on, got 0"),
        (
            "[optimizer]\nmomentum = 1.0",
            "line 2, column 12: optimizer.momentum: expected a number from 0 to 1 (1 excluded), got 1",
        ),
        (
            "optimizer = { weight_decay = -1 }",
            "line 1, column 30: optimizer.weight_decay: expected a number from 0 on, got -1",
        ),
        ("loss = { scale = nan }", "line 1, column 18: loss.scale: expected a number above 0, or dynamic, got NaN"),
        (
            "new_head = true",
            "line 1, column 12: initial.new_head: expected 'from', a network's file, beside it, got none",
        ),
        (
            "augment.min_scale = 8",
            "line 1, column 21: augment.min_scale: expected a share of the area above 0 and up to 1, got 8",
        ),
    ] {
        let error = Recipe::from_toml(&format!("{text}{phase}")).unwrap_err();
        assert_eq!(error.to_string(), message, "{text}");
    }
    // The wording here is the TOML parser's; the place and the one line are ours.
    let error = Recipe::from_toml("[[phase]]\nep = = 0\n").unwrap_err().to_string();
    assert!(error.starts_with("line 2, column 6: expected TOML: ") && !error.contains('\n'), "{error}");
}
