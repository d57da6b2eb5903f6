//! Shapes: a handful of extents, kept inline.

use std::fmt;
use std::ops::Index;

/// The highest rank that a ResNet needs: (N, C, H, W) activations and (O, I, H, W) weights.
pub const MAX_RANK: usize = 4;

/// Logical extents of a tensor, outermost first.
///
/// An activation's extents are always (N, C, H, W), whatever the order in which its
/// [`Format`](crate::Format) stores them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    extents: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// A shape of the given extents.
    ///
    /// # Panics
    /// If there are more than [`MAX_RANK`] of them.
    pub fn new(extents: &[usize]) -> Self {
        assert!(extents.len() <= MAX_RANK, "a shape has at most {MAX_RANK} extents, got {}", extents.len());
        let mut shape = Shape { extents: [1; MAX_RANK], rank: extents.len() as u8 };
        shape.extents[..extents.len()].copy_from_slice(extents);
        shape
    }

    /// An activation's shape.
    pub fn nchw(n: usize, c: usize, h: usize, w: usize) -> Self {
        Shape::new(&[n, c, h, w])
    }

    /// The extents, outermost first.
    pub fn extents(&self) -> &[usize] {
        &self.extents[..self.rank as usize]
    }

    /// How many extents there are.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// How many elements there are.
    pub fn elements(&self) -> usize {
        self.extents().iter().product()
    }
}

impl Index<usize> for Shape {
    type Output = usize;

    fn index(&self, axis: usize) -> &usize {
        &self.extents()[axis]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, extent) in self.extents().iter().enumerate() {
            if i > 0 {
                f.write_str("x")?;
            }
            write!(f, "{extent}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
