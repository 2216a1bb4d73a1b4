// SPDX-License-Identifier: Apache-2.0
//! Moving bytes about without a panic in sight: what does not fit is left out.

/// Copies as much as both have.
#[inline(never)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// Moves `len` bytes at `from` towards the front, to `to`.
pub(crate) fn move_down(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    for offset in 0..len {
        move_one(bytes, from, to, offset);
    }
}

/// Moves `len` bytes at `from` towards the end, to `to`.
pub(crate) fn move_up(bytes: &mut [u8], from: usize, to: usize, len: usize) {
    for offset in (0..len).rev() {
        move_one(bytes, from, to, offset);
    }
}

fn move_one(bytes: &mut [u8], from: usize, to: usize, offset: usize) {
    let moved = bytes.get(from.saturating_add(offset)).copied();
    let place = bytes.get_mut(to.saturating_add(offset));
    if let (Some(place), Some(moved)) = (place, moved) {
        *place = moved;
    }
}

/// Reverses the order of the bytes.
pub(crate) fn reverse(bytes: &mut [u8]) {
    let (front, back) = bytes.split_at_mut(bytes.len() / 2);
    for (front, back) in front.iter_mut().zip(back.iter_mut().rev()) {
        core::mem::swap(front, back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_down_keeps_overlapping_bytes_in_order() {
        let mut bytes = *b"..abcdef";
        move_down(&mut bytes, 2, 0, 6);
        assert_eq!(&bytes, b"abcdefef");
    }

    #[test]
    fn moving_up_keeps_overlapping_bytes_in_order() {
        let mut bytes = *b"abcdef..";
        move_up(&mut bytes, 0, 2, 6);
        assert_eq!(&bytes, b"ababcdef");
    }

    #[test]
    fn moving_from_beyond_the_end_changes_nothing() {
        let mut bytes = *b"abc";
        move_down(&mut bytes, usize::MAX, 0, 3);
        move_down(&mut bytes, 3, 0, usize::from(u8::MAX));
        assert_eq!(&bytes, b"abc");
    }

    #[test]
    fn reversing_takes_odd_and_even_lengths() {
        let mut even = *b"abcd";
        let mut odd = *b"abcde";
        reverse(&mut even);
        reverse(&mut odd);
        assert_eq!((&even, &odd), (b"dcba", b"edcba"));
        reverse(&mut []);
    }
}
