//! The networks that can be trained, by name. A family of networks has a file here and a place in
//! the list below.

mod blur_pool;
mod resnet;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::network::Network;

pub use self::blur_pool::BlurPooling;

/// Every network, by family.
const FAMILIES: &[&[Arch]] = &[resnet::ALL];

/// Between the name of a network and that of where it has BlurPool.
const WITH_BLUR_POOL: &str = "-blurpool-";

/// A network by its name: a function from the number of classes to the network. Its images have
/// three channels, and its last layer, the classifier, is called `fc`.
///
/// Where a network has BlurPool is part of its name: `resnet50-blurpool-all`. The values of its
/// parameters say nothing of BlurPool, so a file's name of its network is all that keeps a reader
/// from taking it for the plain one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arch {
    family: Member,
    blur_pool: BlurPooling,
}

/// A member of a family, without options.
#[derive(Clone, Copy)]
struct Member {
    name: &'static str,
    build: fn(BlurPooling, usize) -> Network,
}

impl Arch {
    const fn new(name: &'static str, build: fn(BlurPooling, usize) -> Network) -> Self {
        Arch { family: Member { name, build }, blur_pool: BlurPooling::None }
    }

    /// All of them, without BlurPool, smallest first within a family.
    pub fn all() -> impl Iterator<Item = Arch> {
        FAMILIES.iter().copied().flatten().copied()
    }

    /// The names of all, for messages: `resnet18, resnet34, ...`.
    pub fn names() -> String {
        Arch::all().map(|arch| arch.family.name).collect::<Vec<_>>().join(", ")
    }

    /// Where it has BlurPool.
    pub fn blur_pool(self) -> BlurPooling {
        self.blur_pool
    }

    /// The same network with BlurPool in these places, and in no others. It has the same parameters.
    pub fn with_blur_pool(self, blur_pool: BlurPooling) -> Self {
        Arch { blur_pool, ..self }
    }

    /// The network, for images of three channels.
    pub fn network(self, classes: usize) -> Network {
        (self.family.build)(self.blur_pool, classes)
    }
}

/// Its name: torchvision's, if torchvision has the network, and where it has BlurPool, if anywhere.
impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.blur_pool {
            BlurPooling::None => f.write_str(self.family.name),
            places => write!(f, "{}{WITH_BLUR_POOL}{places}", self.family.name),
        }
    }
}

impl fmt::Debug for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, blur_pool) = match text.split_once(WITH_BLUR_POOL) {
            // `none` is no part of a name: a network has one name.
            Some((name, places)) => (name, places.parse().ok().filter(|&places| places != BlurPooling::None)),
            None => (text, Some(BlurPooling::None)),
        };
        let named = Arch::all().find(|arch| arch.family.name == name);
        named.zip(blur_pool).map(|(arch, blur_pool)| arch.with_blur_pool(blur_pool)).ok_or_else(|| {
            let also = "each also with -blurpool-convolutions or -blurpool-all";
            format!("expected one of {}, {also}; got `{text}`", Arch::names())
        })
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Member {}

impl Hash for Member {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Linear;

    #[test]
    fn names_lead_to_networks_with_a_classifier() {
        let places = [BlurPooling::None, BlurPooling::Convolutions, BlurPooling::All];
        for arch in Arch::all().flat_map(|arch| places.map(|places| arch.with_blur_pool(places))) {
            assert_eq!(arch.to_string().parse(), Ok(arch));
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
        for text in ["resnet18-blurpool-", "resnet18-blurpool-none", "resnet18-blurpool-some", "vgg16-blurpool-all"] {
            let says = text.parse::<Arch>().unwrap_err();
            assert!(says.contains("-blurpool-convolutions or -blurpool-all; got"), "{says}");
        }
    }
}
