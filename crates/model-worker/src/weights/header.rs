//! A GGUF file's header: metadata, then where each tensor lies.

use std::collections::BTreeMap;
use std::io::Read;

use super::metadata::Metadata;
use super::reader::HeaderReader;
use super::tensor::{TensorKind, TensorPlace};
use super::{WeightsError, tensor};

/// Tensors of one file (I8).
const MAX_TENSORS: u64 = 65_536;
/// Sides of one tensor.
const MAX_SIDES: u32 = 4;

pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: BTreeMap<String, TensorPlace>,
}

/// Reads the header of a file of `file_bytes`.
pub(super) fn read<R: Read>(inner: R, file_bytes: u64) -> Result<Header, WeightsError> {
    let mut reader = HeaderReader::new(inner, file_bytes);
    let (metadata, tensor_count) = beginning(&mut reader)?;
    // A name's length, sides, kind and offset: at least 24 bytes.
    reader.expect_room("the list of tensors", tensor_count, 24)?;
    let listed = (0..tensor_count).map(|_| listed_tensor(&mut reader)).collect::<Result<Vec<_>, _>>()?;

    let alignment = alignment(&metadata)?;
    let data = reader.position().next_multiple_of(alignment);
    let mut tensors = BTreeMap::new();
    for Listed { name, shape, kind, offset } in listed {
        let place = place(&name, shape, kind, offset, data, file_bytes)?;
        if offset % alignment != 0 {
            return Err(WeightsError::invalid(format!(
                "tensor `{name}` is not aligned to {alignment} bytes"
            )));
        }
        if tensors.insert(name.clone(), place).is_some() {
            return Err(WeightsError::invalid(format!("tensor `{name}` stands twice")));
        }
    }
    Ok(Header { metadata, tensors })
}

/// Reads as far as the metadata.
#[cfg(feature = "llamacpp")]
pub(super) fn metadata<R: Read>(inner: R, file_bytes: u64) -> Result<Metadata, WeightsError> {
    Ok(beginning(&mut HeaderReader::new(inner, file_bytes))?.0)
}

/// The metadata, and how many tensors follow.
fn beginning<R: Read>(reader: &mut HeaderReader<R>) -> Result<(Metadata, u64), WeightsError> {
    if reader.bytes()? != *b"GGUF" {
        return Err(WeightsError::unsupported("the file does not begin as a GGUF file does"));
    }
    let version = reader.u32()?;
    // Version 1 counted in 32 bits and was in use for weeks only.
    if !(2..=3).contains(&version) {
        return Err(WeightsError::unsupported(format!("GGUF version {version} is neither 2 nor 3")));
    }
    let tensor_count = reader.u64()?;
    let metadata_count = reader.u64()?;
    if tensor_count > MAX_TENSORS {
        return Err(WeightsError::invalid(format!("{tensor_count} tensors, at most {MAX_TENSORS}")));
    }
    let metadata = Metadata::read(reader, metadata_count)?;
    Ok((metadata, tensor_count))
}

struct Listed {
    name: String,
    shape: Vec<u64>,
    kind: TensorKind,
    offset: u64,
}

fn listed_tensor<R: Read>(reader: &mut HeaderReader<R>) -> Result<Listed, WeightsError> {
    let name = reader.text()?;
    let sides = reader.u32()?;
    if !(1..=MAX_SIDES).contains(&sides) {
        return Err(WeightsError::invalid(format!(
            "tensor `{name}` has {sides} sides, 1 to {MAX_SIDES} can be"
        )));
    }
    let shape = (0..sides).map(|_| reader.u64()).collect::<Result<Vec<_>, _>>()?;
    let kind = reader.u32()?;
    let kind = tensor::kind(kind).ok_or_else(|| {
        WeightsError::unsupported(format!(
            "tensor `{name}` is quantised in a way (type {kind}) that is not known here"
        ))
    })?;
    Ok(Listed { name, shape, kind, offset: reader.u64()? })
}

fn alignment(metadata: &Metadata) -> Result<u64, WeightsError> {
    let alignment = metadata.count("general.alignment")?.unwrap_or(32);
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        return Err(WeightsError::invalid(format!("an alignment of {alignment} bytes cannot be")));
    }
    Ok(alignment as u64)
}

fn place(
    name: &str,
    shape: Vec<u64>,
    kind: TensorKind,
    offset: u64,
    data: u64,
    file_bytes: u64,
) -> Result<TensorPlace, WeightsError> {
    let weights = shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side));
    let block = kind.block_size() as u64;
    let whole_rows = shape.first().is_some_and(|row| *row > 0 && row % block == 0);
    let bytes = weights
        .filter(|weights| whole_rows && *weights > 0)
        .and_then(|weights| (weights / block).checked_mul(kind.type_size() as u64));
    let start = data.checked_add(offset);
    let (Some(bytes), Some(start)) = (bytes, start) else {
        return Err(WeightsError::invalid(format!("tensor `{name}` has an impossible shape {shape:?}")));
    };
    if start.checked_add(bytes).is_none_or(|end| end > file_bytes) {
        return Err(WeightsError::invalid(format!(
            "tensor `{name}` would lie beyond the end of the file, which has {file_bytes} bytes"
        )));
    }
    Ok(TensorPlace { kind, shape, start, bytes })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn text(into: &mut Vec<u8>, text: &str) {
        into.extend((text.len() as u64).to_le_bytes());
        into.extend(text.as_bytes());
    }

    /// A small file, whole and right.
    fn small() -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(1_u64.to_le_bytes());
        file.extend(3_u64.to_le_bytes());
        text(&mut file, "general.architecture");
        file.extend(8_u32.to_le_bytes());
        text(&mut file, "llama");
        text(&mut file, "llama.block_count");
        file.extend(4_u32.to_le_bytes());
        file.extend(30_u32.to_le_bytes());
        text(&mut file, "tokenizer.ggml.tokens");
        file.extend(9_u32.to_le_bytes());
        file.extend(8_u32.to_le_bytes());
        file.extend(2_u64.to_le_bytes());
        text(&mut file, "a");
        text(&mut file, "b");
        text(&mut file, "norm.weight");
        file.extend(1_u32.to_le_bytes());
        file.extend(32_u64.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        file.extend(0_u64.to_le_bytes());
        file.resize(file.len().next_multiple_of(32) + 128, 0);
        file
    }

    fn read_all(file: &[u8]) -> Result<Header, WeightsError> {
        read(Cursor::new(file), file.len() as u64)
    }

    #[test]
    fn a_whole_file_is_read() {
        let header = read_all(&small()).unwrap();
        assert_eq!(header.metadata.count("llama.block_count").unwrap(), Some(30));
        assert_eq!(header.metadata.texts("tokenizer.ggml.tokens").unwrap(), ["a", "b"]);
        assert_eq!(header.tensors["norm.weight"].bytes, 128);
        assert!(header.metadata.count("general.architecture").is_err());
    }

    #[test]
    fn a_file_that_ends_anywhere_is_refused() {
        let file = small();
        for length in 0..file.len() {
            assert!(read_all(&file[..length]).is_err(), "{length} of {} bytes", file.len());
            // The same, if the file got shorter after it was measured.
            if length + 128 < file.len() - 31 {
                assert!(read(Cursor::new(&file[..length]), file.len() as u64).is_err());
            }
        }
    }

    #[test]
    fn a_count_beyond_every_bound_is_refused_before_room_is_made() {
        let file = small();
        for at in [8, 16, 24, 56] {
            let mut file = file.clone();
            file[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert!(matches!(read_all(&file), Err(WeightsError::Invalid(_) | WeightsError::Unsupported(_))));
        }
    }

    proptest! {
        #[test]
        fn no_byte_makes_it_panic(at in 0_usize..300, bits in 1_u8..) {
            let mut file = small();
            let at = at % file.len();
            file[at] ^= bits;
            let _ = read_all(&file);
        }

        #[test]
        fn garbage_is_refused(garbage in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(read_all(&garbage).is_err());
            let behind = [b"GGUF\x03\0\0\0", garbage.as_slice()].concat();
            let _ = read_all(&behind);
        }
    }

    #[test]
    fn the_real_file_cut_or_changed_anywhere_never_panics() {
        let path = model_store::testing::default_model();
        let mut file = Vec::new();
        std::fs::File::open(path).unwrap().take(4 << 20).read_to_end(&mut file).unwrap();
        // The header says where tensors lie, and most lie beyond these bytes.
        assert!(matches!(read_all(&file), Err(WeightsError::Invalid(_))));
        for step in 0..24 {
            let at = step * file.len() / 24;
            assert!(read_all(&file[..at]).is_err());
            let before = std::mem::replace(&mut file[at], 0xff);
            let _ = read(Cursor::new(&file), 98_362_432);
            file[at] = before;
        }
    }
}
