//! Which known name a mistyped one probably meant.

/// The known name nearest to `name`, if one is near: at most a third of its letters differ.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &&str| strsim::osa_distance(&name.to_lowercase(), other);
    let near = known.into_iter().min_by_key(distance)?;
    let allowed = (near.chars().count().max(name.chars().count()) / 3).max(1);
    (distance(&near) <= allowed).then_some(near)
}

/// A message's end: `: did you mean 'momentum'?`, or nothing where no known name is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!(": did you mean '{near}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_proposed() {
        const KNOWN: [&str; 5] = ["momentum", "weight_decay", "lr", "bs", "smoothing"];
        for (name, near) in [
            ("momentun", Some("momentum")),
            ("Momentum", Some("momentum")),
            ("weigth_decay", Some("weight_decay")),
            ("weight-decay", Some("weight_decay")),
            ("smooth", Some("smoothing")),
            ("rl", Some("lr")),
            ("mom", None),
            ("dropout", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, KNOWN), near, "{name}");
        }
        assert_eq!(nearest("x", []), None);
    }
}
