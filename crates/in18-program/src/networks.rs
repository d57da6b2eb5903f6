//! The networks that can be trained, by name. A family of networks has a file here and a place in
//! the list below.

mod blur_pool;
mod options;
mod resnet;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use self::options::Options;
use crate::network::Network;

pub use self::blur_pool::BlurPooling;
pub use self::options::{Shortcut, Stem};

/// Every network, by family.
const FAMILIES: &[&[Arch]] = &[resnet::ALL];

/// A network by its name: a function from the number of classes to the network. Its images have
/// three channels, and its last layer, the classifier, is called `fc`.
///
/// The stem, the shortcuts and the places of BlurPool are part of its name: `resnet50d`,
/// `resnet50-blurpool-all`. The values of its parameters say nothing of BlurPool, so a file's name
/// of its network is all that keeps a reader from taking it for the plain one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arch {
    family: Member,
    options: Options,
}

/// A member of a family, without options.
#[derive(Clone, Copy)]
struct Member {
    name: &'static str,
    build: fn(Options, usize) -> Network,
}

impl Arch {
    const fn new(name: &'static str, build: fn(Options, usize) -> Network) -> Self {
        Arch { family: Member { name, build }, options: Options::PLAIN }
    }

    /// All of them, without options, smallest first within a family.
    pub fn all() -> impl Iterator<Item = Arch> {
        FAMILIES.iter().copied().flatten().copied()
    }

    /// The names of all, for messages: `resnet18, resnet34, ...`.
    pub fn names() -> String {
        Arch::all().map(|arch| arch.family.name).collect::<Vec<_>>().join(", ")
    }

    /// This network's depth with each stem and each kind of shortcut, without BlurPool: all whose
    /// parameters differ in names or shapes. The plain one comes first.
    pub fn forms(self) -> impl Iterator<Item = Arch> {
        Options::forms().map(move |options| Arch { options, ..self })
    }

    /// The layers before max pooling.
    pub fn stem(self) -> Stem {
        self.options.stem
    }

    /// How its shortcuts drop pixels.
    pub fn shortcut(self) -> Shortcut {
        self.options.shortcut
    }

    /// Where it has BlurPool.
    pub fn blur_pool(self) -> BlurPooling {
        self.options.blur_pool
    }

    /// The same network with this stem.
    pub fn with_stem(self, stem: Stem) -> Self {
        Arch { options: Options { stem, ..self.options }, ..self }
    }

    /// The same network with these shortcuts.
    pub fn with_shortcut(self, shortcut: Shortcut) -> Self {
        Arch { options: Options { shortcut, ..self.options }, ..self }
    }

    /// The same network with BlurPool in these places, and in no others. It has the same parameters.
    pub fn with_blur_pool(self, blur_pool: BlurPooling) -> Self {
        Arch { options: Options { blur_pool, ..self.options }, ..self }
    }

    /// The same network as ResNet-D: with the deep stem and pooling shortcuts.
    pub fn as_d(self) -> Self {
        self.with_stem(Stem::Deep).with_shortcut(Shortcut::Pool)
    }

    /// The network, for images of three channels.
    pub fn network(self, classes: usize) -> Network {
        (self.family.build)(self.options, classes)
    }
}

/// Its name: torchvision's or timm's, if they have the network, and where it has BlurPool, if
/// anywhere.
impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.family.name, self.options)
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
        let named = |arch: Arch| Some(Arch { options: Options::after(arch.family.name, text)?, ..arch });
        Arch::all().find_map(named).ok_or_else(|| {
            let also = "each also as ResNet-D (resnet50d), and with -blurpool-convolutions or -blurpool-all";
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
    use std::collections::HashSet;

    use super::*;
    use crate::layers::Linear;

    #[test]
    fn names_lead_to_networks_with_a_classifier() {
        let places = [BlurPooling::None, BlurPooling::Convolutions, BlurPooling::All];
        let forms = Arch::all().flat_map(Arch::forms);
        let mut names = HashSet::new();
        for arch in forms.flat_map(|arch| places.map(|places| arch.with_blur_pool(places))) {
            assert!(names.insert(arch.to_string()), "{arch}");
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
        let blurred = ["resnet18-blurpool-", "resnet18-blurpool-none", "resnet18-blurpool-some", "vgg16-blurpool-all"];
        for text in
            blurred.into_iter().chain(["resnet50e", "resnet50dd", "resnet50d-blurpool", "resnet50-shortcut-conv"])
        {
            let says = text.parse::<Arch>().unwrap_err();
            assert!(says.contains("-blurpool-convolutions or -blurpool-all; got"), "{says}");
        }
    }

    #[test]
    fn names_are_timms() {
        let arch = Arch::RESNET50;
        assert_eq!(arch.as_d().to_string(), "resnet50d");
        assert_eq!(arch.with_stem(Stem::Deep).to_string(), "resnet50c");
        assert_eq!(arch.with_shortcut(Shortcut::Pool).to_string(), "resnet50-shortcut-pool");
        assert_eq!(arch.as_d().with_blur_pool(BlurPooling::All).to_string(), "resnet50d-blurpool-all");
    }
}
