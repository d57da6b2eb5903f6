//! What may differ between networks of one name and depth: how they begin, how their shortcuts drop
//! pixels, and where they have BlurPool.

use std::fmt;

use super::BlurPooling;

/// The layers before max pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Stem {
    /// One 7×7 convolution with a stride of 2.
    #[default]
    Original,
    /// Three 3×3 convolutions, the first with a stride of 2 (He et al., *Bag of Tricks for Image
    /// Classification*, 2018, there "ResNet-C").
    Deep,
}

/// How a shortcut drops pixels where its block has a stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Shortcut {
    /// By the stride of its 1×1 convolution, which ignores three of four pixels.
    #[default]
    Conv,
    /// By average pooling before a 1×1 convolution without a stride (as above, there "ResNet-D",
    /// which also has the deep stem).
    Pool,
}

/// A network's choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub(super) struct Options {
    pub stem: Stem,
    pub shortcut: Shortcut,
    pub blur_pool: BlurPooling,
}

/// Between the name of a network and that of where it has BlurPool.
pub(super) const WITH_BLUR_POOL: &str = "-blurpool-";

/// Each stem and shortcut with what follows the name of the plain network: timm's names, where timm
/// has the network.
const ENDINGS: [(&str, Stem, Shortcut); 4] = [
    ("", Stem::Original, Shortcut::Conv),
    ("c", Stem::Deep, Shortcut::Conv),
    ("d", Stem::Deep, Shortcut::Pool),
    ("-shortcut-pool", Stem::Original, Shortcut::Pool),
];

impl Options {
    /// As the network's first paper has it.
    pub const PLAIN: Options = Options { stem: Stem::Original, shortcut: Shortcut::Conv, blur_pool: BlurPooling::None };

    /// Each stem with each shortcut, without BlurPool. The plain one comes first.
    pub fn forms() -> impl Iterator<Item = Options> {
        ENDINGS.iter().map(|&(_, stem, shortcut)| Options { stem, shortcut, blur_pool: BlurPooling::None })
    }

    /// The options that the end of a name says, if the rest of the name is `name`.
    pub fn after(name: &str, text: &str) -> Option<Options> {
        let rest = text.strip_prefix(name)?;
        let (ending, blur_pool) = match rest.split_once(WITH_BLUR_POOL) {
            // `none` is no part of a name: a network has one name.
            Some((ending, places)) => (ending, places.parse().ok().filter(|&places| places != BlurPooling::None)?),
            None => (rest, BlurPooling::None),
        };
        let &(_, stem, shortcut) = ENDINGS.iter().find(|(known, ..)| *known == ending)?;
        Some(Options { stem, shortcut, blur_pool })
    }
}

/// What follows the name of the plain network.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = (self.stem, self.shortcut);
        f.write_str(
            ENDINGS.iter().find(|&&(_, stem, shortcut)| (stem, shortcut) == form).map_or("", |ending| ending.0),
        )?;
        match self.blur_pool {
            BlurPooling::None => Ok(()),
            places => write!(f, "{WITH_BLUR_POOL}{places}"),
        }
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stem::Original => "original",
            Stem::Deep => "deep",
        })
    }
}

impl fmt::Display for Shortcut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shortcut::Conv => "conv",
            Shortcut::Pool => "pool",
        })
    }
}
