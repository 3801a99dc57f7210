//! The pixels of the caller: read row by row, and written row by row.

use impasto::io::{CompactPicture, PixelSource};

use crate::status::Failure;

/// Longest side and most pixels of a picture, those of picture files.
const LONGEST_SIDE: usize = 30_000;
const MOST_PIXELS: usize = 400_000_000;

/// Bytes of a pixel: red, green, blue and alpha.
const PIXEL: usize = 4;

/// Refuses a picture without pixels, or with too many.
pub fn check_size(what: &str, width: usize, height: usize) -> Result<(), Failure> {
    let fits = width.max(height) <= LONGEST_SIDE && width.saturating_mul(height) <= MOST_PIXELS;
    if width == 0 || height == 0 || !fits {
        let allowed = format!("1 to {LONGEST_SIDE} pixels a side and at most 400 million in all");
        return Err(Failure::argument(format!("the size of the {what} must be {allowed}, got {width}x{height}")));
    }
    Ok(())
}

/// Where the rows of a picture are in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    width: usize,
    height: usize,
    stride: usize,
}

impl Layout {
    /// Rows that begin `stride` bytes after each other; 0 for rows without a gap.
    pub fn new(what: &str, width: usize, height: usize, stride: usize) -> Result<Self, Failure> {
        check_size(what, width, height)?;
        let least = PIXEL * width;
        let stride = if stride == 0 { least } else { stride };
        if stride < least {
            let message =
                format!("the stride of the {what} must be at least {least} bytes (4 x {width}), got {stride}");
            return Err(Failure::argument(message));
        }
        let bytes = (height - 1).checked_mul(stride).and_then(|above| above.checked_add(least));
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            let message = format!("the stride of the {what} is too large: {height} rows of {stride} bytes");
            return Err(Failure::argument(message));
        }
        Ok(Layout { width, height, stride })
    }

    /// The rows as offsets from the first byte.
    fn rows(self) -> impl Iterator<Item = usize> {
        (0..self.height).map(move |row| row * self.stride)
    }

    /// Copies a picture of the caller.
    ///
    /// # Safety
    /// `pixels` is NULL or has the rows of this layout.
    pub unsafe fn read(self, what: &str, pixels: *const u8) -> Result<CompactPicture, Failure> {
        if pixels.is_null() {
            return Err(Failure::null(&format!("the pixels of the {what}")));
        }
        let length = PIXEL * self.width;
        let mut rgba = Vec::with_capacity(length * self.height);
        for row in self.rows() {
            // SAFETY: not NULL, and the caller has promised the rest.
            rgba.extend_from_slice(unsafe { std::slice::from_raw_parts(pixels.add(row), length) });
        }
        Ok(CompactPicture::from_rgba8(self.width, self.height, rgba)?)
    }

    /// Copies a picture of this size to the caller. The bytes between the rows are left as they are.
    ///
    /// # Safety
    /// `pixels` has the rows of this layout.
    pub unsafe fn write(self, picture: &CompactPicture, pixels: *mut u8) {
        assert_eq!([picture.width(), picture.height()], [self.width, self.height], "the size of the result");
        for (y, row) in self.rows().enumerate() {
            for (x, pixel) in picture.row_rgba8(y).enumerate() {
                // SAFETY: promised by the caller. Bytes may be uninitialised, so no slice of them is made.
                unsafe { pixels.add(row + PIXEL * x).cast::<[u8; PIXEL]>().write(pixel) };
            }
        }
    }

    /// Refuses rows that share bytes with those of another picture, unless they are the same.
    pub fn check_apart(self, pixels: usize, other: Layout, others: usize) -> Result<(), Failure> {
        if pixels == others && self == other {
            return Ok(());
        }
        let place = |layout: Layout, start: usize| {
            layout.rows().map(move |row| start.saturating_add(row)).map(move |at| (at, at + PIXEL * layout.width))
        };
        let (mut mine, mut theirs) = (place(self, pixels).peekable(), place(other, others).peekable());
        while let (Some(&a), Some(&b)) = (mine.peek(), theirs.peek()) {
            if a.0 < b.1 && b.0 < a.1 {
                let message = "output and input share bytes: use the same pointer, stride and size for both, or memory \
                               that does not overlap";
                return Err(Failure::argument(message));
            }
            let first = if a.0 < b.0 { &mut mine } else { &mut theirs };
            first.next();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_sizes_that_cannot_be_are_refused() {
        let layout = |width, height, stride| Layout::new("input", width, height, stride);
        assert_eq!(layout(3, 2, 0).unwrap(), layout(3, 2, 12).unwrap());
        assert!(layout(30_000, 1, 0).is_ok() && layout(3, 1, usize::MAX).is_ok());
        for (width, height, stride, words) in [
            (0, 2, 0, "0x2"),
            (30_001, 1, 0, "30001x1"),
            (30_000, 30_000, 0, "400 million"),
            (usize::MAX, usize::MAX, 0, "400 million"),
            (3, 2, 11, "at least 12 bytes"),
            (3, 3, usize::MAX / 2, "too large"),
        ] {
            let message = layout(width, height, stride).unwrap_err().message;
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn rows_are_read_and_written_within_their_strides() {
        let layout = Layout::new("input", 2, 2, 11).unwrap();
        let bytes: Vec<u8> = (0..19).map(|index| if index % 11 % 4 == 3 { 255 } else { index }).collect();
        // SAFETY: 19 bytes are two rows of 8, 11 bytes after each other.
        let picture = unsafe { layout.read("input", bytes.as_ptr()) }.unwrap();
        let mut copy = vec![7; 20];
        unsafe { layout.write(&picture, copy.as_mut_ptr()) };
        assert_eq!((&copy[..8], &copy[11..19]), (&bytes[..8], &bytes[11..]));
        assert_eq!((&copy[8..11], copy[19]), (&[7; 3][..], 7), "gaps are left alone");
        assert!(unsafe { layout.read("input", std::ptr::null()) }.unwrap_err().message.contains("NULL"));
    }

    #[test]
    fn pictures_may_be_side_by_side_but_not_on_top_of_each_other() {
        let layout = |width, height, stride| Layout::new("input", width, height, stride).unwrap();
        let (half, small) = (layout(4, 8, 32), layout(2, 2, 8));
        for (apart, other, at, others) in [
            (half, half, 1000, 1000),
            (half, half, 1000, 1016),
            (half, half, 1016, 1000),
            (half, half, 1000, 1000 + 8 * 32),
            (half, small, 1000, 1000 + 8 * 32),
            (half, small, 1000, 984),
        ] {
            assert!(apart.check_apart(at, other, others).is_ok(), "{apart:?} {other:?} {at} {others}");
        }
        for (apart, other, at, others) in [
            (half, half, 1000, 1001),
            (half, half, 1000, 1015),
            (half, half, 1000, 1000 + 7 * 32),
            (half, layout(4, 8, 16), 1000, 1000),
            (half, small, 1000, 1000),
            (small, half, 1000 + 7 * 32 + 12, 1000),
        ] {
            assert!(apart.check_apart(at, other, others).is_err(), "{apart:?} {other:?} {at} {others}");
        }
    }
}
