//! What a recipe brings to a run beside its phases, and what the program prints about it.

use in18_recipe::{MadeFor, Recipe};

use super::Flag;

/// What a recipe brought beside the phases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Brought {
    /// The recipe's name, as `--recipe` gave it.
    recipe: String,
    /// Whether that is the name of a published recipe.
    is_preset: bool,
    /// Flags that the command line did not set, so that the recipe sets them.
    flags: Vec<BroughtFlag>,
    /// The devices it was made for.
    made_for: Option<MadeFor>,
}

/// A flag that a recipe sets.
#[derive(Clone, Debug, PartialEq)]
struct BroughtFlag {
    /// The flag as a command line would write it.
    text: String,
    /// If the flag is a switch: what a command line writes to turn it off.
    off: Option<String>,
}

impl Brought {
    /// What `recipe` (read from `--recipe NAME`) sets in place of the flags that were not given.
    /// The network is listed if the recipe's text states it, every other setting if it differs from
    /// its default.
    pub fn of(name: &str, recipe: &Recipe, is_preset: bool, stated: &[String], flags: &[Flag]) -> Self {
        let default = Recipe::default();
        let brought = flags.iter().filter(|flag| flag.value.is_none()).filter_map(|flag| {
            let (own, default) = (recipe.get(flag.field), default.get(flag.field));
            let is_named = own != default || (flag.field == "network.arch" && stated.iter().any(|it| it == flag.field));
            own.filter(|_| is_named).map(|own| match own.as_str() {
                "true" => BroughtFlag { text: flag.name.to_owned(), off: Some(flag.off()) },
                own => BroughtFlag { text: format!("{} {own}", flag.name), off: None },
            })
        });
        Brought { recipe: name.to_owned(), is_preset, flags: brought.collect(), made_for: recipe.made_for.clone() }
    }

    /// The lines that a run on `world` devices prints about the recipe.
    pub fn lines(&self, world: usize) -> Vec<String> {
        let Brought { recipe, is_preset, flags, made_for } = self;
        let mut lines = Vec::new();
        if !flags.is_empty() {
            let texts: Vec<&str> = flags.iter().map(|flag| flag.text.as_str()).collect();
            let offs: Vec<&str> = flags.iter().filter_map(|flag| flag.off.as_deref()).collect();
            let off = match offs.is_empty() {
                true => String::new(),
                false => format!(" ({} for without)", offs.join(" ")),
            };
            lines.push(format!("note: --recipe {recipe} brings {}, for which it was written{off}", texts.join(" ")));
        }
        if let Some(MadeFor { devices, device }) = made_for.as_ref().filter(|made_for| made_for.devices != world) {
            let made_for = *devices;
            let (share, times) = (fraction(world, made_for), fraction(made_for, world));
            let of_what = if world < made_for { "of" } else { "times" };
            let made_for = if made_for == 1 { "1 device".to_owned() } else { format!("{made_for} devices") };
            let kind = device.as_ref().map_or_else(String::new, |device| format!(" ({device})"));
            let how = match is_preset {
                true => format!("give its phases (`imagenet18 recipes {recipe}`) as --phases"),
                false => "write it anew".to_owned(),
            };
            lines.push(format!(
                "warning: --recipe {recipe} was made for {made_for}{kind}, got {world}: 'bs' is each device's, so the global \
                 batch is {share} {of_what} what its rates suit: take {made_for}, or {how} with 'bs' times {times} or 'lr' \
                 times {share}"
            ));
        }
        lines
    }
}

/// A fraction in lowest terms, such as `3/4` or `2`.
fn fraction(a: usize, b: usize) -> String {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let (a, b) = (a / divisor.max(1), b / divisor.max(1));
    if b == 1 { a.to_string() } else { format!("{a}/{b}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_devices_are_warned_of_with_what_to_change() {
        let brought = |device: Option<&str>, flags: &[&str]| Brought {
            recipe: "r".to_owned(),
            is_preset: device.is_some(),
            flags: flags
                .iter()
                .map(|flag| BroughtFlag {
                    text: (*flag).to_owned(),
                    off: (!flag.contains(' ')).then(|| format!("{flag}=false")),
                })
                .collect(),
            made_for: Some(MadeFor { devices: 8, device: device.map(str::to_owned) }),
        };
        assert_eq!(brought(Some("V100"), &[]).lines(8), [""; 0]);
        assert_eq!(
            brought(Some("V100"), &[]).lines(1),
            [
                "warning: --recipe r was made for 8 devices (V100), got 1: 'bs' is each device's, so the global batch is 1/8 of what \
              its rates suit: take 8 devices, or give its phases (`imagenet18 recipes r`) as --phases with 'bs' times 8 or 'lr' times \
              1/8"
            ]
        );
        let more = &brought(None, &[]).lines(12)[0];
        assert!(more.contains("3/2 times what") && more.contains("'bs' times 2/3 or 'lr' times 3/2"), "{more}");
        let one =
            Brought { made_for: Some(MadeFor { devices: 1, device: None }), ..Brought::default() }.lines(2).concat();
        assert!(one.contains("made for 1 device, got 2: ") && one.contains("2 times what"), "{one}");
        assert_eq!(
            brought(None, &["--arch resnet50", "--init-bn0"]).lines(8),
            [
                "note: --recipe r brings --arch resnet50 --init-bn0, for which it was written (--init-bn0=false for without)"
            ]
        );
        assert_eq!(
            brought(None, &["--arch resnet50"]).lines(8),
            ["note: --recipe r brings --arch resnet50, for which it was written"]
        );
    }
}
