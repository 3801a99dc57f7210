//! A body: many styles in one net (Dumoulin et al., arXiv:1610.07629). All styles share the convolutions. Each instance
//! norm has one row of scales and one of shifts per style: its tensors `inN.weight` and `inN.bias` are tables `[S, C]`.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    ImageTransformNetWeights,
    styles::{STYLES, check},
};
use crate::io::{HostTensor, WeightFile};
use crate::ops::norm::Over;
use crate::{Error, Result};

/// Sum of the rows of a table by their weights; rows of weight 0 are skipped.
fn mix(table: &HostTensor, weights: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0; table.shape[1]];
    for (row, weight) in table.data.chunks(table.shape[1]).zip(weights).filter(|(_, weight)| **weight != 0.0) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
    }
    sum
}

/// Metadata of a body for one of its styles. An entry that is a JSON list with one element per style becomes that
/// element.
fn own_metadata(file: &WeightFile, styles: &[String], style: usize) -> BTreeMap<String, String> {
    let own = |text: &String| match serde_json::from_str(text) {
        Ok(Value::Array(list)) if list.len() == styles.len() => match &list[style] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
        _ => text.clone(),
    };
    let others = file.metadata.iter().filter(|(key, _)| *key != STYLES);
    others.map(|(key, text)| (key.clone(), own(text))).collect()
}

impl ImageTransformNetWeights {
    /// Tells whether a tensor is the scale or shift of a norm.
    fn is_affine(&self) -> impl Fn(&str) -> bool + use<> {
        let norms: Vec<_> = self.layers().iter().filter_map(|layer| layer.norm_name(self.norm)).collect();
        move |name| {
            name.rsplit_once('.').is_some_and(|(norm, kind)| {
                ["weight", "bias"].contains(&kind) && norms.iter().any(|known| known == norm)
            })
        }
    }

    /// Scales and shifts of all norms.
    pub(super) fn affine(&self) -> impl Iterator<Item = &(String, HostTensor)> {
        let is_affine = self.is_affine();
        self.tensors.iter().filter(move |(name, _)| is_affine(name))
    }

    pub(super) fn affine_mut(&mut self) -> impl Iterator<Item = &mut (String, HostTensor)> {
        let is_affine = self.is_affine();
        self.tensors.iter_mut().filter(move |(name, _)| is_affine(name))
    }

    /// SHA-256 (64 hexadecimal digits) of form, norm and convolutions: of everything but scales and shifts.
    pub fn fingerprint(&self) -> String {
        let (mut hash, is_affine) = (Sha256::new(), self.is_affine());
        hash.update(format!("{:?} {:?}", self.form, self.norm));
        for (name, tensor) in self.tensors.iter().filter(|(name, _)| !is_affine(name)) {
            hash.update(name);
            hash.update(bytemuck::cast_slice::<f32, u8>(&tensor.data));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The net of one style as a file of its own. Its metadata is that of `file`, the body's. An entry that is a JSON
    /// list with one element per style becomes that style's element.
    ///
    /// # Errors
    /// An unknown style.
    pub fn alone(&self, style: &str, file: &WeightFile) -> Result<WeightFile> {
        let Some(at) = self.styles.iter().position(|known| known == style) else {
            return Err(Error::argument("body", "style", format!("one of {}", self.styles.join(", ")), style));
        };
        let weights: Vec<_> = (0..self.styles.len()).map(|row| f32::from(row == at)).collect();
        Ok(self.blend(&weights)?.into_file(&file.path, own_metadata(file, &self.styles, at)))
    }

    /// The weighted average of the scales and shifts of nets that share their convolutions.
    ///
    /// # Errors
    /// No net; a body instead of a net of one style; different convolutions; weights that
    /// [`ImageTransformNetWeights::blend`] refuses.
    pub fn mix(nets: &[(ImageTransformNetWeights, f32)]) -> Result<Self> {
        let refuse = |got: String| Error::argument("mix", "nets", "one or more styles of one body", got);
        let ((first, _), others) = nets.split_first().ok_or_else(|| refuse("none".into()))?;
        let body = first.fingerprint();
        for (number, (net, _)) in (1..).zip(nets) {
            if !net.styles.is_empty() {
                return Err(refuse(format!("a whole body (net {number})")));
            }
            if net.fingerprint() != body {
                return Err(refuse(format!("other convolutions (net {number})")));
            }
        }
        let mut many = first.clone();
        many.styles = (1..=nets.len()).map(|number| number.to_string()).collect();
        for (name, tensor) in many.affine_mut() {
            let rows = others.iter().flat_map(|(net, _)| net.values(name));
            tensor.data.extend(rows);
            tensor.shape.insert(0, nets.len());
        }
        many.blend(&nets.iter().map(|(_, weight)| *weight).collect::<Vec<_>>())
    }

    /// A body with the styles `names`. Known styles keep their scales and shifts; new ones start from the average of
    /// all known ones.
    ///
    /// # Errors
    /// Batch norm, which supports one style only; no name, or names that are empty or not unique.
    pub fn with_styles(&self, names: &[String]) -> Result<Self> {
        if self.norm == Over::Batch {
            return Err(Error::argument("styles", "net", "one with instance norm", "one with batch norm"));
        }
        check(names).map_err(|reason| Error::argument("styles", "names", reason, names.join(", ")))?;
        let (mut many, rows) = (self.clone(), self.styles.len().max(1));
        let weights = |name: &String| match self.styles.iter().position(|known| known == name) {
            Some(row) => (0..rows).map(|at| if at == row { 1.0 } else { 0.0 }).collect(),
            None => vec![1.0 / rows as f32; rows],
        };
        let weights: Vec<Vec<f32>> = names.iter().map(weights).collect();
        many.styles = names.to_vec();
        for (_, tensor) in many.affine_mut() {
            let channels = tensor.data.len() / rows;
            tensor.shape = vec![rows, channels];
            tensor.data = weights.iter().flat_map(|weights| mix(tensor, weights)).collect();
            tensor.shape = vec![names.len(), channels];
        }
        Ok(many)
    }

    /// A net of one style: the average of the styles' scales and shifts by `weights`, which are divided by their sum. A
    /// single weight of 1 among zeros gives that style exactly.
    ///
    /// # Errors
    /// A number of weights that is not that of the styles; weights that are negative, not finite or all 0.
    pub fn blend(&self, weights: &[f32]) -> Result<Self> {
        let affine: Vec<_> = self.blended(weights)?.collect();
        let mut one = self.clone();
        one.styles.clear();
        for ((_, tensor), (_, values)) in one.affine_mut().zip(affine) {
            tensor.data = values;
            tensor.shape.remove(0);
        }
        Ok(one)
    }

    /// The scales and shifts of [`blend`](Self::blend), by name, `[C]`.
    ///
    /// # Errors
    /// Those of [`blend`](Self::blend).
    pub(crate) fn blended(&self, weights: &[f32]) -> Result<impl Iterator<Item = (&str, Vec<f32>)>> {
        let sum: f32 = weights.iter().sum();
        if weights.len() != self.styles.len()
            || weights.iter().any(|weight| *weight < 0.0)
            || !(sum > 0.0 && sum.is_finite())
        {
            let expected = format!("a number from 0 up for each style ({}), not all 0", self.styles.len());
            return Err(Error::argument("blend", "weights", expected, format!("{weights:?}")));
        }
        let weights: Vec<_> = weights.iter().map(|weight| weight / sum).collect();
        Ok(self.affine().map(move |(name, tensor)| (name.as_str(), mix(tensor, &weights))))
    }
}
