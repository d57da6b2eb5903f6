//! The networks that can be trained, by name. A family of networks has a file here and a place in
//! the list below.

mod resnet;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::network::Network;

/// Every network, by family.
const FAMILIES: &[&[Arch]] = &[resnet::ALL];

/// A network by its name: a function from the number of classes to the network. Its images have
/// three channels, and its last layer, the classifier, is called `fc`.
#[derive(Clone, Copy)]
pub struct Arch {
    name: &'static str,
    build: fn(usize) -> Network,
}

impl Arch {
    const fn new(name: &'static str, build: fn(usize) -> Network) -> Self {
        Arch { name, build }
    }

    /// All of them, smallest first within a family.
    pub fn all() -> impl Iterator<Item = Arch> {
        FAMILIES.iter().copied().flatten().copied()
    }

    /// The names of all, for messages: `resnet18, resnet34, ...`.
    pub fn names() -> String {
        Arch::all().map(Arch::name).collect::<Vec<_>>().join(", ")
    }

    /// Its name: torchvision's, if torchvision has the network.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The network, for images of three channels.
    pub fn network(self, classes: usize) -> Network {
        (self.build)(classes)
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Arch {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Arch {}

impl Hash for Arch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Arch::all().find(|arch| arch.name == text);
        named.ok_or_else(|| format!("expected one of {}; got `{text}`", Arch::names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Linear;

    #[test]
    fn names_lead_to_networks_with_a_classifier() {
        for arch in Arch::all() {
            assert_eq!(arch.name().parse(), Ok(arch));
            let network = arch.network(7);
            let last = network.nodes().last().unwrap();
            assert!(last.name == "fc" && last.downcast::<Linear>().is_some(), "{arch}");
            assert_eq!(network.classes(), 7, "{arch}");
        }
    }

    #[test]
    fn an_unknown_name_gets_the_known_ones() {
        let says = "vgg16".parse::<Arch>().unwrap_err();
        assert!(says.starts_with("expected one of resnet18, resnet34, ") && says.ends_with("; got `vgg16`"), "{says}");
    }
}
