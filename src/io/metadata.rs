//! What a picture file says besides its pixels.

use image::metadata::Orientation;

/// What a picture file says besides its pixels, to be kept when a picture made from it is saved.
///
/// [`Picture::load_with_metadata`](super::Picture::load_with_metadata) reads it, and
/// [`Picture::save_with`](super::Picture::save_with) writes it. The default is that of a picture without a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The ICC colour profile.
    pub profile: Option<Vec<u8>>,
    /// EXIF, from its TIFF header on. Its orientation is 1, because the orientation has been applied to the pixels, and
    /// it has no thumbnail, which would show the old picture.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet.
    pub xmp: Option<String>,
    /// Whether the file has more than 8 bits per channel.
    pub deep: bool,
}

/// EXIF for an upright picture without a thumbnail.
pub(super) fn upright_exif(mut exif: Vec<u8>) -> Vec<u8> {
    let _ = Orientation::remove_from_exif_chunk(&mut exif);
    if let Some(link) = thumbnail_link(&exif)
        && let Some(link) = exif.get_mut(link..link + 4)
    {
        link.fill(0);
    }
    exif
}

/// Position of the link from the directory of the picture to that of the thumbnail.
fn thumbnail_link(exif: &[u8]) -> Option<usize> {
    let big_endian = exif.starts_with(b"MM");
    let first: [u8; 4] = *exif.get(4..)?.first_chunk()?;
    let first = if big_endian { u32::from_be_bytes(first) } else { u32::from_le_bytes(first) } as usize;
    let count: [u8; 2] = *exif.get(first..)?.first_chunk()?;
    let count = if big_endian { u16::from_be_bytes(count) } else { u16::from_le_bytes(count) };
    Some(first + 2 + 12 * usize::from(count))
}

/// XMP for an upright picture: `tiff:Orientation`, as an attribute or an element, becomes 1.
pub(super) fn upright_xmp(mut xmp: String) -> String {
    for begin in ["tiff:Orientation=\"", "tiff:Orientation='", "<tiff:Orientation>"] {
        if let Some(at) = xmp.find(begin).map(|at| at + begin.len())
            && xmp[at..].starts_with(|digit| ('2'..='8').contains(&digit))
        {
            xmp.replace_range(at..=at, "1");
        }
    }
    xmp
}
