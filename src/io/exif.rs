//! EXIF between files: in a TIFF it is a part of the directory that describes the pixels, in other formats a TIFF without
//! pixels.

use std::io::{Cursor, Read, Seek, Write};

use tiff::{
    TiffResult,
    decoder::Decoder,
    encoder::{DirectoryEncoder, TiffEncoder, TiffKindStandard},
    tags::{ByteOrder, IfdPointer, Tag, Type, ValueBuffer},
};

/// Tags of a picture's directory that describe the picture and not how its pixels are stored.
const DESCRIPTIONS: [u16; 20] = [
    269,   // DocumentName
    270,   // ImageDescription
    271,   // Make
    272,   // Model
    274,   // Orientation
    282,   // XResolution
    283,   // YResolution
    285,   // PageName
    296,   // ResolutionUnit
    305,   // Software
    306,   // DateTime
    315,   // Artist
    316,   // HostComputer
    18246, // Rating
    18249, // RatingPercent
    33432, // Copyright
    40091, // XPTitle
    40092, // XPComment
    40094, // XPKeywords
    40095, // XPSubject
];

/// Tags whose values are the places of other directories.
const EXIF: u16 = 34665;
const GPS: u16 = 34853;
const INTEROPERABILITY: u16 = 40965;

fn is_description(tag: u16) -> bool {
    DESCRIPTIONS.contains(&tag)
}

/// A directory of a TIFF and the directories that belong to it.
#[derive(Default)]
pub(super) struct Directory {
    entries: Vec<(Tag, ValueBuffer)>,
    parts: Vec<(Tag, Directory)>,
}

impl Directory {
    /// Reads the directory of the picture at which the decoder of a file of `length` bytes is: the entries that describe
    /// the picture.
    pub(super) fn of_picture<R: Read + Seek>(decoder: &mut Decoder<R>, length: usize) -> TiffResult<Self> {
        let mut left = length as u64;
        match decoder.ifd_pointer() {
            Some(place) => Self::read(decoder, place, &[EXIF, GPS], &is_description, &mut left),
            None => Ok(Directory::default()),
        }
    }

    /// Reads EXIF, from its TIFF header on.
    pub(super) fn of_exif(exif: &[u8]) -> TiffResult<Self> {
        let (file, place) = with_pixel(exif);
        let mut decoder = Decoder::new(Cursor::new(&file[..]))?;
        Self::read(&mut decoder, place, &[EXIF, GPS], &is_description, &mut (file.len() as u64))
    }

    /// `parts` are the tags of the directories that belong to this one, `left` the bytes that values may still have. They
    /// are no more than those of the file, unless values share bytes, which makes a small file large. Values that cannot
    /// be read are left out.
    fn read<R: Read + Seek>(
        decoder: &mut Decoder<R>,
        place: IfdPointer,
        parts: &[u16],
        is_kept: &dyn Fn(u16) -> bool,
        left: &mut u64,
    ) -> TiffResult<Self> {
        let directory = decoder.read_directory(place)?;
        let mut read = Directory::default();
        let mut places = Vec::new();
        let mut values = decoder.read_directory_tags(&directory);
        for (tag, entry) in directory.iter() {
            let number = tag.to_u16();
            if parts.contains(&number) {
                let value = values.find_tag(tag).ok().flatten();
                places.extend(value.and_then(|value| value.into_ifd_pointer().ok()).map(|place| (tag, place)));
            } else if is_kept(number) && !matches!(entry.field_type(), Type::IFD | Type::IFD8) && entry.count() <= *left
            {
                let mut value = ValueBuffer::empty(Type::BYTE);
                if let Ok(Some(_)) = values.find_tag_buf(tag, &mut value) {
                    *left = left.saturating_sub(value.as_bytes().len() as u64);
                    value.set_byte_order(ByteOrder::native());
                    read.entries.push((tag, value));
                }
            }
        }
        for (tag, place) in places {
            let parts: &[u16] = if tag.to_u16() == EXIF { &[INTEROPERABILITY] } else { &[] };
            if let Ok(part) = Self::read(decoder, place, parts, &|_| true, left) {
                read.parts.push((tag, part));
            }
        }
        Ok(read)
    }

    /// EXIF from its TIFF header on; `None` if the directory says nothing.
    pub(super) fn into_exif(mut self) -> TiffResult<Option<Vec<u8>>> {
        self.drop_empty_resolution();
        if self.entries.is_empty() && self.parts.is_empty() {
            return Ok(None);
        }
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file)?;
        let parts = self.write_parts(&mut encoder)?;
        let mut first = encoder.image_directory()?;
        self.write_entries(&mut first, &parts)?;
        first.finish()?;
        Ok(Some(file.into_inner()))
    }

    /// Drops a resolution without a unit, which every TIFF has to state.
    fn drop_empty_resolution(&mut self) {
        let is_unit = |(tag, value): &(Tag, ValueBuffer)| {
            *tag == Tag::ResolutionUnit && value.as_bytes().iter().any(|byte| *byte > 1)
        };
        if !self.entries.iter().any(is_unit) {
            self.entries.retain(|(tag, _)| ![Tag::XResolution, Tag::YResolution, Tag::ResolutionUnit].contains(tag));
        }
    }

    /// Writes the directories that belong to this one, and returns where they are.
    pub(super) fn write_parts<W: Write + Seek>(&self, encoder: &mut TiffEncoder<W>) -> TiffResult<Vec<(Tag, u32)>> {
        let mut places = Vec::new();
        for (tag, part) in &self.parts {
            let parts = part.write_parts(encoder)?;
            let mut directory = encoder.extra_directory()?;
            part.write_entries(&mut directory, &parts)?;
            places.push((*tag, directory.finish_with_offsets()?.offset));
        }
        Ok(places)
    }

    /// Writes the entries, and the places that [`Self::write_parts`] returned.
    pub(super) fn write_entries<W: Write + Seek>(
        &self,
        directory: &mut DirectoryEncoder<'_, W, TiffKindStandard>,
        parts: &[(Tag, u32)],
    ) -> TiffResult<()> {
        self.entries.iter().try_for_each(|(tag, value)| directory.write_tag_buf(*tag, value))?;
        parts.iter().try_for_each(|(tag, place)| directory.write_tag(*tag, *place))
    }
}

/// EXIF as a TIFF that the decoder opens, which it does only if there is a picture: with one of a pixel, whose directory
/// is the first. Returns the place of EXIF's own directory, too.
fn with_pixel(exif: &[u8]) -> (Vec<u8>, IfdPointer) {
    const SHORT: u16 = 3;
    const ENTRIES: [(Tag, u16); 5] = [
        (Tag::ImageWidth, 1),
        (Tag::ImageLength, 1),
        (Tag::PhotometricInterpretation, 1),
        (Tag::StripOffsets, 0),
        (Tag::StripByteCounts, 1),
    ];
    let is_big_endian = exif.starts_with(b"MM");
    let short = |value: u16| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| if is_big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let place = exif.get(4..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    let place = if is_big_endian { u32::from_be_bytes(place) } else { u32::from_le_bytes(place) };
    let mut file = exif.to_vec();
    if let Some(first) = file.get_mut(4..8) {
        first.copy_from_slice(&long(exif.len() as u32));
    }
    file.extend(short(ENTRIES.len() as u16));
    for (tag, value) in ENTRIES {
        file.extend([short(tag.to_u16()), short(SHORT)].as_flattened());
        file.extend(long(1));
        file.extend([short(value), [0; 2]].as_flattened());
    }
    file.extend(long(0));
    (file, IfdPointer(place.into()))
}

#[cfg(test)]
#[path = "exif_tests.rs"]
mod tests;
