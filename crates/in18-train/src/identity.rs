//! What a run is: its resolved recipe, and the images that it sees. A checkpoint is only good for
//! the same. Two of them are compared field by field, so that a refusal can say what differs, by
//! the names that `-o` takes.

use in18_dataset::ImageSet;
use in18_recipe::{Plan, Recipe};
use serde_json::{Map, Value, json};

use crate::data::Data;

/// The network's names: the part of a run's identity that exported files carry, too.
#[derive(Clone, Debug)]
pub struct NetworkIdentity {
    /// Such as `resnet50`.
    pub arch: String,
    /// Names of the classes, by label.
    pub classes: Vec<String>,
}

/// Fields of a recipe that may differ where a run goes on. A checkpoint holds what has become of
/// the initial values; the plan's epochs hold what phases, crops and batches were resolved to, and
/// are compared themselves; descriptions decide nothing.
const NOT_COMPARED: [&str; 10] = [
    "initial.from",
    "initial.new_head",
    "phase",
    "augment.min_scale",
    "evaluate.rectangular",
    "data.drop_last",
    "name",
    "about",
    "made_for",
    "reached",
];

/// Everything that decides what a run computes, as one tree: the plan's recipe section by section,
/// its epochs, and the images. `short_epoch`: whether epochs are cut short. Not in it: where
/// folders lie, loader threads, how often anything is written. Computing threads are not in it
/// either: they change the last bits only.
pub fn identity(plan: &Plan, short_epoch: bool, data: &Data) -> Value {
    let set = |set: &ImageSet| json!({ "count": set.len(), "fingerprint": set.fingerprint() });
    let mut images = Map::new();
    for suffix in data.train_suffixes() {
        images.insert(format!("DATA{suffix}/train"), set(data.train(suffix)));
    }
    for suffix in data.validation_suffixes() {
        images.insert(format!("DATA{suffix}/validation"), set(data.validation(suffix)));
    }
    of_parts(plan, short_epoch, data.classes(), images)
}

fn of_parts(plan: &Plan, short_epoch: bool, classes: &[String], images: Map<String, Value>) -> Value {
    let mut identity = settings(&plan.recipe);
    identity["network"]["classes"] = json!(classes);
    identity["short_epoch"] = json!(short_epoch);
    identity["plan"] = json!({ "world": plan.world, "epochs": plan.epochs });
    // Compared, and so named, before the plan, which follows from them.
    identity["images"] = Value::Object(images);
    identity
}

/// A recipe's fields that may not differ.
fn settings(recipe: &Recipe) -> Value {
    let mut settings = json!(recipe);
    for field in NOT_COMPARED {
        let (fields, field) = match field.split_once('.') {
            Some((section, field)) => (&mut settings[section], field),
            None => (&mut settings, field),
        };
        fields.as_object_mut().map(|fields| fields.remove(field));
    }
    // What a dynamic scale has become is part of a run's progress.
    let scale = &mut settings["loss"]["scale"];
    if scale.as_str().is_some_and(|scale| scale.starts_with("dynamic")) {
        *scale = json!("dynamic");
    }
    settings
}

/// A checkpoint's identity as this program would write it: in today's layout, with fields that its
/// program did not know at their defaults.
pub fn as_of_today(mut identity: Value) -> Value {
    if identity["network"]["init_bn0"].is_boolean() {
        identity = translated(identity);
    }
    add_missing(&mut identity, &settings(&Recipe::default()));
    identity
}

/// Translates the first layout, of before a recipe was one value: `init_bn0` was a setting of the
/// network, settings of data and loss stood at the top and only where they differed from the
/// default, and a rate was `{"Constant": {"rate": 0.1}}` or `{"Linear": {"from": 0.1, ...}}`.
fn translated(mut identity: Value) -> Value {
    let mut take = |name: &str| identity.as_object_mut().and_then(|fields| fields.remove(name));
    let (shuffle, exif, scale, gradients) = (take("shuffle"), take("exif"), take("loss_scale"), take("gradients"));
    identity["data"] = json!({ "shuffle": shuffle.unwrap_or(json!("full")), "exif": exif.unwrap_or(json!(false)) });
    identity["loss"] = json!({ "scale": scale.unwrap_or(json!(1.0)) });
    identity["optimizer"]["gradients"] = json!(if gradients.is_some() { "compute" } else { "fp32" });
    identity["initial"] = json!({ "bn0": identity["network"]["init_bn0"] });
    identity["network"].as_object_mut().map(|network| network.remove("init_bn0"));
    for epoch in identity["plan"]["epochs"].as_array_mut().into_iter().flatten() {
        let constant = epoch["lr"]["Constant"]["rate"].take();
        let line = epoch["lr"]["Linear"].take();
        epoch["lr"] = if constant.is_null() { line } else { constant };
    }
    identity
}

fn add_missing(identity: &mut Value, defaults: &Value) {
    let (Value::Object(fields), Value::Object(defaults)) = (identity, defaults) else { return };
    for (name, default) in defaults {
        match fields.get_mut(name) {
            Some(field) => add_missing(field, default),
            None => drop(fields.insert(name.clone(), default.clone())),
        }
    }
}

/// The most differences that are named. Of the others, only the number is said.
const NAMED: usize = 3;

/// What differs between a checkpoint's identity and this run's, in words; `None` if nothing does.
pub fn differences(checkpoint: &Value, run: &Value) -> Option<String> {
    let mut found = Vec::new();
    compare("", checkpoint, run, &mut found);
    let more = found.len().saturating_sub(NAMED);
    found.truncate(NAMED);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    (!found.is_empty()).then(|| found.join("; "))
}

fn compare(path: &str, checkpoint: &Value, run: &Value, found: &mut Vec<String>) {
    match (checkpoint, run) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key)));
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                compare(&path, &of(one), &of(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}[{index}]"), one, other, found);
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            found.push(format!("{path} has {} entries in the checkpoint and {} here", one.len(), other.len()));
        }
        (one, other) if one != other => {
            found.push(format!("{path} is {} in the checkpoint and {} here", short(one), short(other)));
        }
        _ => {}
    }
}

/// A value on one line, not too long.
fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Null => "missing".to_owned(),
        value => value.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use in18_recipe::{Phases, PlanInput, Precision};

    use super::*;

    /// What a run of a program before recipes wrote with `--arch resnet18 --init-bn0 --momentum
    /// 0.85 --wd 5e-5 --seed 7 --shuffle window --drop-last --exif --precision fp32` and these
    /// phases.
    const FIRST_LAYOUT: &str = include_str!("../tests/golden/first_identity.json");
    const PHASES: &str = "[{'ep':0,'sz':32,'bs':8},{'ep':(0,3),'lr':(0.02,0.05)},{'ep':2,'bs':12,'keep_dl':True},\
        {'ep':(3,6),'lr':(0.05,0.01)},{'ep':4,'sz':48,'bs':10,'rect_val':True},{'ep':6,'lr':0.01},{'ep':(6,7),'lr':0.01}]";

    fn first_layout() -> Value {
        serde_json::from_str(FIRST_LAYOUT).unwrap()
    }

    /// The same run's identity now, with some fields at other values.
    fn now(precision: Precision, fields: &[(&str, &str)]) -> Value {
        let mut recipe = Recipe::from(Phases::from_python(PHASES).unwrap());
        let flags = [("arch", "resnet18"), ("init_bn0", "true"), ("momentum", "0.85"), ("weight_decay", "5e-5")];
        let more = [("seed", "7"), ("shuffle", "window"), ("drop_last", "true"), ("exif", "true")];
        for (field, value) in flags.iter().chain(&more).chain(fields) {
            recipe.set(field, value).unwrap();
        }
        let old = first_layout();
        let classes: Vec<String> = serde_json::from_value(old["network"]["classes"].clone()).unwrap();
        let plan = Plan::resolve(&recipe.computed_in(precision), &PlanInput::uniform(1, 45)).unwrap();
        of_parts(&plan, false, &classes, old["images"].as_object().unwrap().clone())
    }

    #[test]
    fn the_first_layout_is_the_same_run() {
        let difference =
            |fields: &[(&str, &str)]| differences(&as_of_today(first_layout()), &now(Precision::Fp32, fields));
        assert_eq!(difference(&[]), None);
        for (field, value, says) in [
            ("momentum", "0.9", "optimizer.momentum is 0.85 in the checkpoint and 0.9 here"),
            ("weight_decay", "1e-4", "optimizer.weight_decay is 0.00005 in the checkpoint and 0.0001 here"),
            ("no_bn_wd", "true", "optimizer.no_bn_wd is false in the checkpoint and true here"),
            ("init_bn0", "false", "initial.bn0 is true in the checkpoint and false here"),
            ("seed", "8", "seed is 7 in the checkpoint and 8 here"),
            ("shuffle", "full", "data.shuffle is \"window\" in the checkpoint and \"full\" here"),
            ("exif", "false", "data.exif is true in the checkpoint and false here"),
            ("arch", "resnet34", "network.arch is \"resnet18\" in the checkpoint and \"resnet34\" here"),
        ] {
            assert_eq!(difference(&[(field, value)]).as_deref(), Some(says));
        }
        // What epochs resolve is named there.
        let says = difference(&[("augment.min_scale", "0.1")]).unwrap();
        assert!(says.starts_with("plan.epochs[0].min_scale is 0.08 in the checkpoint and 0.1 here; "), "{says}");
        // Initial values and descriptions may differ.
        assert_eq!(difference(&[("initial.from", "net.safetensors"), ("about", "another"), ("devices", "9")]), None);
    }

    #[test]
    fn the_first_layout_named_scales_and_types_only_where_they_differed_from_the_default() {
        let old = |more: Value| {
            let mut old = first_layout();
            old["network"]["precision"] = json!("fp16");
            old.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            as_of_today(old)
        };
        let fp16 = |fields: &[(&str, &str)]| now(Precision::Fp16, fields);
        assert_eq!(differences(&old(json!({"loss_scale": 1024.0})), &fp16(&[])), None);
        assert_eq!(differences(&old(json!({"loss_scale": "dynamic"})), &fp16(&[("loss_scale", "dynamic:8")])), None);
        let compute = [("gradients", "compute"), ("loss_scale", "1")];
        assert_eq!(differences(&old(json!({"gradients": "fp16"})), &fp16(&compute)), None);
        assert_eq!(
            differences(&old(json!({})), &fp16(&compute[..1])).unwrap(),
            "loss.scale is 1.0 in the checkpoint and 1024.0 here; \
             optimizer.gradients is \"fp32\" in the checkpoint and \"compute\" here"
        );
    }

    #[test]
    fn fields_that_a_checkpoint_does_not_know_had_their_defaults() {
        let mut older = now(Precision::Fp32, &[]);
        older["optimizer"].as_object_mut().unwrap().remove("gradients");
        older.as_object_mut().unwrap().remove("augment");
        assert_eq!(differences(&as_of_today(older), &now(Precision::Fp32, &[])), None);
    }

    #[test]
    fn differences_are_named_by_their_place() {
        struct Case {
            one: Value,
            other: Value,
            says: Option<&'static str>,
        }
        let cases = [
            Case { one: json!({"a": 1}), other: json!({"a": 1}), says: None },
            Case { one: json!({"a": 1}), other: json!({"a": 2}), says: Some("a is 1 in the checkpoint and 2 here") },
            Case {
                one: json!({"plan": {"epochs": [{"size": 32}, {"size": 48}]}}),
                other: json!({"plan": {"epochs": [{"size": 32}, {"size": 64}]}}),
                says: Some("plan.epochs[1].size is 48 in the checkpoint and 64 here"),
            },
            Case {
                one: json!({"e": [1]}),
                other: json!({"e": [1, 2]}),
                says: Some("e has 1 entries in the checkpoint and 2 here"),
            },
            Case {
                one: json!({"": 1}),
                other: json!({"x": 2}),
                says: Some(" is 1 in the checkpoint and missing here; x is missing in the checkpoint and 2 here"),
            },
            Case {
                one: json!({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}),
                other: json!({}),
                says: Some(
                    "a is 1 in the checkpoint and missing here; b is 1 in the checkpoint and missing here; \
                     c is 1 in the checkpoint and missing here; and 2 more",
                ),
            },
        ];
        for case in cases {
            assert_eq!(differences(&case.one, &case.other).as_deref(), case.says);
        }
    }
}
