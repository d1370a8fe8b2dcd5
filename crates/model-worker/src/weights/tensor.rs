//! One tensor: out of the file, into numbers to compute with.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, ggml_file};

use super::WeightsError;
use crate::numbers::{BLOCK, Matrix};

/// How a tensor's weights are written.
pub(super) type TensorKind = GgmlDType;

/// Where a tensor lies, and how.
#[derive(Debug)]
pub(super) struct TensorPlace {
    pub(super) kind: TensorKind,
    /// The side that is contiguous comes first.
    pub(super) shape: Vec<u64>,
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// The kind with this number in a file, if it is one that can be read.
pub(super) fn kind(number: u32) -> Option<TensorKind> {
    Some(match number {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

/// The tensor as a matrix of eight-bit weights, whatever it is written in.
///
/// Few bits are cheap to store and slow to multiply. In eight, next to nothing is lost against four or six.
pub(super) fn matrix(
    file: &mut File,
    name: &str,
    place: &TensorPlace,
    rows: usize,
    columns: usize,
) -> Result<Matrix, WeightsError> {
    let matrix = if place.kind == GgmlDType::Q8_0 {
        Matrix::from_q8_0(rows, columns, &read(file, place)?)
    } else {
        Matrix::quantise(rows, columns, &vector(file, name, place)?)
    };
    matrix.map_err(|error| WeightsError::invalid(format!("tensor `{name}`: {error}")))
}

/// The tensor's weights as they are.
pub(super) fn vector(file: &mut File, name: &str, place: &TensorPlace) -> Result<Vec<f32>, WeightsError> {
    let bytes = read(file, place)?;
    let weights = bytes.len() / place.kind.type_size() * place.kind.block_size();
    let unreadable = |error| WeightsError::invalid(format!("tensor `{name}` cannot be read: {error}"));
    let tensor = ggml_file::qtensor_from_ggml(place.kind, &bytes, vec![weights], &Device::Cpu)
        .and_then(|tensor| tensor.dequantize(&Device::Cpu))
        .and_then(|tensor| tensor.to_vec1::<f32>())
        .map_err(unreadable)?;
    if tensor.iter().any(|weight| !weight.is_finite()) {
        return Err(WeightsError::invalid(format!("tensor `{name}` holds weights that are no numbers")));
    }
    Ok(tensor)
}

fn read(file: &mut File, place: &TensorPlace) -> Result<Vec<u8>, WeightsError> {
    let length = usize::try_from(place.bytes)
        .map_err(|_| WeightsError::unsupported("a tensor is larger than this machine's memory can be"))?;
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(place.start)).map_err(WeightsError::Read)?;
    file.read_exact(&mut bytes).map_err(WeightsError::Read)?;
    Ok(bytes)
}

const _: () = assert!(BLOCK == 32, "Q8_0 has blocks of 32");
