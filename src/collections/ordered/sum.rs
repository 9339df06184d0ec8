//! Owns counts and weights: of an item, and of all that is under an entry. Never stores a weight where all are 1.

/// How the weights of a kind of item are summed up.
pub trait Weighing: Copy + Default {
    /// The sum for one item of this weight.
    fn of(weight: impl FnOnce() -> usize) -> Self;

    /// This sum, where `count` is the number of the items.
    fn total(self, count: usize) -> usize;

    /// Both sums together. They wrap, so that a difference can be added.
    fn plus(self, other: Self) -> Self;

    /// This sum without the other.
    fn minus(self, other: Self) -> Self;
}

/// Every item weighs 1: takes neither memory nor time.
#[derive(Clone, Copy, Default)]
pub struct Single;

impl Weighing for Single {
    #[inline]
    fn of(_: impl FnOnce() -> usize) -> Single {
        Single
    }

    #[inline]
    fn total(self, count: usize) -> usize {
        count
    }

    #[inline]
    fn plus(self, _: Single) -> Single {
        Single
    }

    #[inline]
    fn minus(self, _: Single) -> Single {
        Single
    }
}

/// Every item says what it weighs.
#[derive(Clone, Copy, Default)]
pub struct Weighted(usize);

impl Weighing for Weighted {
    #[inline]
    fn of(weight: impl FnOnce() -> usize) -> Weighted {
        Weighted(weight())
    }

    #[inline]
    fn total(self, _: usize) -> usize {
        self.0
    }

    #[inline]
    fn plus(self, other: Weighted) -> Weighted {
        Weighted(self.0.wrapping_add(other.0))
    }

    #[inline]
    fn minus(self, other: Weighted) -> Weighted {
        Weighted(self.0.wrapping_sub(other.0))
    }
}

/// Number and weight of some items.
#[derive(Clone, Copy, Default)]
pub struct Sum<W: Weighing> {
    pub count: usize,
    weight: W,
}

impl<W: Weighing> Sum<W> {
    /// One item.
    #[inline]
    pub fn one(weight: impl FnOnce() -> usize) -> Sum<W> {
        Sum { count: 1, weight: W::of(weight) }
    }

    /// The weight of all.
    #[inline]
    pub fn weight(self) -> usize {
        self.weight.total(self.count)
    }

    #[inline]
    pub fn plus(self, other: Sum<W>) -> Sum<W> {
        Sum { count: self.count.wrapping_add(other.count), weight: self.weight.plus(other.weight) }
    }

    #[inline]
    pub fn minus(self, other: Sum<W>) -> Sum<W> {
        Sum { count: self.count.wrapping_sub(other.count), weight: self.weight.minus(other.weight) }
    }
}
