//! What a run is: the settings that must match for a checkpoint to be continued. Two identities are
//! compared field by field, so that a refusal can name what differs.

use in18_dataset::ImageSet;
use in18_loader::Shuffle;
use in18_recipe::Plan;
use in18_tensor::DType;
use serde::Serialize;
use serde_json::{Value, json};

use crate::data::Data;
use crate::loss_scale::LossScaling;
use crate::trainer::RunOptions;

/// The network, its start, and its precision.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkIdentity {
    /// Such as `resnet50`.
    pub arch: String,
    /// Names of the classes, by label.
    pub classes: Vec<String>,
    /// Type of activations.
    pub precision: String,
    /// Whether residual blocks started as the identity.
    pub init_bn0: bool,
}

/// Everything that decides what a run computes, as one tree. Where folders lie, the number of
/// loader threads, and how often anything is written are not in it. Neither is the number of
/// computing threads: it changes the last bits only.
pub fn identity(network: &NetworkIdentity, options: &RunOptions, plan: &Plan, data: &Data) -> Value {
    let set = |set: &ImageSet| json!({ "count": set.len(), "fingerprint": set.fingerprint() });
    let mut images = serde_json::Map::new();
    for suffix in data.train_suffixes() {
        images.insert(format!("DATA{suffix}/train"), set(data.train(suffix)));
    }
    for suffix in data.validation_suffixes() {
        images.insert(format!("DATA{suffix}/validation"), set(data.validation(suffix)));
    }
    let mut identity = json!({
        "network": network,
        "optimizer": {
            "momentum": as_written(options.momentum),
            "weight_decay": as_written(options.weight_decay),
            "no_bn_wd": options.no_bn_wd,
        },
        "seed": options.seed,
        "short_epoch": options.short_epoch,
        "plan": plan,
        // Differences of images are named before those of the plan, which follow from them.
        "images": images,
    });
    // Written only if it is not the default, so that checkpoints from before this setting existed
    // can be continued.
    if options.shuffle == Shuffle::Window {
        identity["shuffle"] = json!("window");
    }
    match options.loss_scaling {
        LossScaling::Fixed(1.0) => {}
        LossScaling::Fixed(scale) => identity["loss_scale"] = json!(as_written(scale)),
        LossScaling::Dynamic => identity["loss_scale"] = json!("dynamic"),
    }
    if options.gradients != DType::F32 {
        identity["gradients"] = json!(options.gradients.to_string());
    }
    if data.exif() {
        identity["exif"] = json!(true);
    }
    identity
}

/// The number that a user wrote: 0.9 and not 0.8999999761581421.
fn as_written(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
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
    use super::*;

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
