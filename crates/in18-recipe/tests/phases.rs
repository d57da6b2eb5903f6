//! Phases as written: what is read, and where a mistake is said to be.

use in18_recipe::{DataPhase, Epochs, LrPhase, Phase, Phases, Rate, preset};

const SEED: &str = "[{'ep': 0, 'sz': 128, 'bs': 512, 'trndir': '-sz/160'}, {'ep': (0, 7), 'lr': (1.0, 2.0)}, \
    {'ep': (7, 13), 'lr': (2.0, 0.25)}, {'ep': 13, 'sz': 224, 'bs': 224, 'trndir': '-sz/320', 'min_scale': 0.087}, \
    {'ep': (13, 22), 'lr': (0.4375, 0.043750000000000004)}, {'ep': (22, 25), 'lr': (0.043750000000000004, 0.004375)}, \
    {'ep': 25, 'sz': 288, 'bs': 128, 'min_scale': 0.5, 'rect_val': True}, {'ep': (25, 28), 'lr': (0.0025, 0.00025)}]";

#[test]
fn the_seeds_command_line_is_the_preset_and_renders_as_written() {
    let phases = Phases::from_python(SEED).unwrap();
    assert_eq!(phases, preset("seed-8gpu").unwrap().recipe().phases);
    assert_eq!(phases.to_python(), SEED);
    assert_eq!(phases.train_dirs(), ["-sz/160", "-sz/320", ""]);
    assert_eq!(phases.val_dirs(), ["-sz/160", "-sz/320", ""]);
}

#[test]
fn one_dict_can_be_both_kinds_of_phase() {
    let text = r#"[{"ep": (0, 3), "lr": [1, 2e0], "epoch_step": 1, "bs": 64, "sz": 96, "trndir": "-t", "valdir": "",
        "min_scale": 1, "rect_val": False, "keep_dl": False}]"#;
    let phase = Phase {
        ep: Epochs::Span(0.0, 3.0),
        data: Some(DataPhase {
            size: Some(96.into()),
            batch: 64.into(),
            train_dir: Some("-t".into()),
            val_dir: Some("".into()),
            min_scale: Some(1.0.into()),
            rect_val: Some(false),
            every: None,
            batch_at: None,
            keep_dl: false,
        }),
        lr: Some(LrPhase { rate: Rate::Linear(1.0, 2.0), epoch_step: true }),
    };
    let phases = Phases::from_python(text).unwrap();
    assert_eq!(phases, Phases { phases: vec![phase] });
    assert_eq!((phases.train_dirs(), phases.val_dirs()), (vec!["-t"], vec![""]));
}

#[test]
fn mistakes_in_python_phases_are_named_at_their_column() {
    struct Case {
        name: &'static str,
        text: &'static str,
        message: &'static str,
    }
    let cases = [
        Case {
            name: "no list",
            text: "{'ep': 0, 'lr': 1}",
            message: "column 1: expected a list of phases '[...]', got a dict",
        },
        Case {
            name: "no dict",
            text: "[{'ep': 0, 'lr': 1}, 5]",
            message: "column 22: expected a phase '{...}', got 5",
        },
        Case {
            name: "no literal",
            text: "[{'ep': 0, 'lr': lr*2}]",
            message: "column 18: expected a value, got the name 'lr' (nothing is evaluated: write the resulting number)",
        },
        Case {
            name: "unknown key",
            text: "[{'ep': 0, 'lr': 1, 'mom': 0.9}]",
            message: "column 21: phase 1: expected one of the keys ep, sz, every, bs, bs_at, trndir, valdir, min_scale, rect_val, \
                      keep_dl, lr, epoch_step, got 'mom'",
        },
        Case {
            name: "mistyped key",
            text: "[{'ep': 0, 'lr': 1, 'epoch_steps': True}]",
            message: "column 21: phase 1: expected one of the keys ep, sz, every, bs, bs_at, trndir, valdir, min_scale, rect_val, \
                      keep_dl, lr, epoch_step, got 'epoch_steps': did you mean 'epoch_step'?",
        },
        Case {
            name: "key without quotes in it",
            text: "[{'ep': 0, 3: 1}]",
            message: "column 12: phase 1: expected a key in quotes, got 3",
        },
        Case {
            name: "repeated key",
            text: "[{'ep': 0, 'lr': 1, 'ep': 2}]",
            message: "column 21: phase 1: expected 'ep' once, got it twice",
        },
        Case {
            name: "no epoch",
            text: "[{'ep': 0, 'lr': 1}, {'lr': 1}]",
            message: "column 22: phase 2: expected 'ep', the epoch at which the phase starts, got none",
        },
        Case {
            name: "neither data nor rate",
            text: "[{'ep': 0}]",
            message: "column 2: phase 1: expected 'bs' (a data phase) or 'lr' (a rate phase) or both, got neither",
        },
        Case {
            name: "size without batch",
            text: "[{'ep': 0, 'sz': 128}]",
            message: "column 18: phase 1: 'sz': expected 'bs' in the same phase, got none",
        },
        Case {
            name: "epoch_step without rate",
            text: "[{'ep': 0, 'sz': 128, 'bs': 1, 'epoch_step': True}]",
            message: "column 46: phase 1: 'epoch_step': expected 'lr' in the same phase, got none",
        },
        Case {
            name: "batch without size",
            text: "[{'ep': 3, 'bs': 64}]",
            message: "column 2: phase 1: expected 'sz' beside 'bs' (or 'keep_dl': True to change only the batch), \
                      got no size from epoch 3 on",
        },
        Case {
            name: "negative size",
            text: "[{'ep': 0, 'sz': -128, 'bs': 64}]",
            message: "column 18: phase 1: 'sz': expected a whole number that is not negative, got -128",
        },
        Case {
            name: "fractional size",
            text: "[{'ep': 0, 'sz': 128.5, 'bs': 64}]",
            message: "column 18: phase 1: 'sz': expected a whole number that is not negative, got 128.5",
        },
        Case {
            name: "size zero",
            text: "[{'ep': 0, 'sz': 0, 'bs': 64}]",
            message: "column 18: phase 1: 'sz': expected a size from 1 to 65535 pixels, got 0",
        },
        Case {
            name: "batch zero",
            text: "[{'ep': 0, 'sz': 64, 'bs': 0}]",
            message: "column 28: phase 1: 'bs': expected a batch of at least 1 image per device, got 0",
        },
        Case {
            name: "folder that is no string",
            text: "[{'ep': 0, 'sz': 64, 'bs': 8, 'trndir': None}]",
            message: "column 41: phase 1: 'trndir': expected a string such as '-sz/160', got None",
        },
        Case {
            name: "share of the area",
            text: "[{'ep': 0, 'sz': 64, 'bs': 8, 'min_scale': 8}]",
            message: "column 44: phase 1: 'min_scale': expected a share of the area above 0 and up to 1, got 8.0",
        },
        Case {
            name: "flag that is none",
            text: "[{'ep': 0, 'sz': 64, 'bs': 8, 'rect_val': 'yes'}]",
            message: "column 43: phase 1: 'rect_val': expected True or False, got 'yes'",
        },
        Case {
            name: "bool as a number",
            text: "[{'ep': 0, 'lr': True}]",
            message: "column 18: phase 1: 'lr': expected a rate or a pair (from, to), got True",
        },
        Case {
            name: "three rates",
            text: "[{'ep': (0, 3), 'lr': (1, 2, 3)}]",
            message: "column 23: phase 1: 'lr': expected a rate or a pair (from, to), got a list of 3 values",
        },
        Case {
            name: "string in a pair",
            text: "[{'ep': (0, 3), 'lr': (1, '2')}]",
            message: "column 27: phase 1: 'lr': expected a number, got '2'",
        },
        Case {
            name: "infinite rate",
            text: "[{'ep': 0, 'lr': 1e999}]",
            message: "column 18: phase 1: 'lr': expected a finite rate that is not negative, got inf",
        },
        Case {
            name: "negative rate",
            text: "[{'ep': (0, 3), 'lr': (0.1, -0.1)}]",
            message: "column 23: phase 1: 'lr': expected a finite rate that is not negative, got (0.1, -0.1)",
        },
        Case {
            name: "pair of rates, one epoch",
            text: "[{'ep': 5, 'lr': (0.1, 0.4)}]",
            message: "column 9: phase 1: 'ep': expected a pair (start, end), because 'lr' is a pair, got 5",
        },
        Case {
            name: "pair of rates, no time",
            text: "[{'ep': (5, 5), 'lr': (0.1, 0.4)}]",
            message: "column 9: phase 1: 'ep': expected at least one epoch between start and end, because 'lr' is a \
                      pair, got (5, 5)",
        },
        Case {
            name: "epochs backwards",
            text: "[{'ep': (7, 5), 'lr': 0.1}]",
            message: "column 9: phase 1: 'ep': expected a pair (start, end) that does not run backwards, got (7, 5)",
        },
        Case {
            name: "far too many epochs",
            text: "[{'ep': (0, 1000000000000), 'lr': 0.1}]",
            message: "column 9: phase 1: 'ep': expected epochs up to 100000, got (0, 1000000000000)",
        },
        Case {
            name: "three epochs",
            text: "[{'ep': (0, 1, 2), 'lr': 0.1}]",
            message: "column 9: phase 1: 'ep': expected an epoch or a pair (start, end), got a list of 3 values",
        },
        Case {
            name: "data over a pair of epochs",
            text: "[{'ep': (0, 5), 'sz': 64, 'bs': 8}]",
            message: "column 9: phase 1: 'ep': expected the one epoch at which the batch of 8 starts, got the pair (0, 5)",
        },
        Case {
            name: "second line",
            text: "[{'ep': 0, 'lr': 1},\n {'ep': 'x', 'lr': 1}]",
            message: "line 2, column 9: phase 2: 'ep': expected an epoch or a pair (start, end), got 'x'",
        },
    ];
    for Case { name, text, message } in cases {
        let error = Phases::from_python(text).expect_err(name);
        assert_eq!(error.to_string(), message, "{name}");
        assert_eq!(message.split(": ").next(), Some(&*error.at().to_string()), "{name}");
    }
}
