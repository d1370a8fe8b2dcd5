//! Models of architecture `llama`: embedding, attention and gated feed-forward layers, output.

mod attention;
mod rotation;
mod sequence;
mod shape;

use self::attention::Heads;
use self::rotation::Rotation;
pub(crate) use self::sequence::Sequence;
use self::shape::Shape;
use crate::numbers::{self, Gate, Instructions, Lanes, Matrix, Normalise, Quantised, Work, matmul};
use crate::runtime::{Batch, Pass, Runtime, RuntimeError};
use crate::weights::{Weights, WeightsError};

/// A model in memory, and the one sequence that it is at.
#[derive(Debug)]
pub(crate) struct Llama {
    shape: Shape,
    embedding: Matrix,
    layers: Vec<Layer>,
    last_norm: Vec<f32>,
    // `None`: the embedding's rows are the output's too.
    output: Option<Matrix>,
    rotation: Rotation,
    instructions: Instructions,
    threads: usize,
    sequence: Sequence,
    scratch: Scratch,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    attention_output: Matrix,
    feed_forward_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// Where a pass computes, kept from one to the next.
#[derive(Debug, Default)]
struct Scratch {
    state: Vec<f32>,
    normed: Vec<f32>,
    quantised: Quantised,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    product: Vec<f32>,
    /// The last row, ready for the output. Empty if nothing was fed.
    last: Quantised,
    scores: Vec<f32>,
}

impl Llama {
    /// Loads the model. `context_tokens` may narrow what the model allows; `threads` compute.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if the file is of another architecture, or what it holds does not fit together.
    pub(crate) fn load(
        weights: &mut Weights,
        context_tokens: Option<usize>,
        threads: usize,
    ) -> Result<Self, WeightsError> {
        let shape = Shape::read(weights.metadata(), context_tokens)?;
        let embedding = weights.matrix("token_embd.weight", shape.vocabulary, shape.width)?;
        let layers = (0..shape.layers).map(|at| layer(weights, &shape, at)).collect::<Result<_, _>>()?;
        let last_norm = weights.vector("output_norm.weight", shape.width)?;
        let output = match weights.has("output.weight") {
            true => Some(weights.matrix("output.weight", shape.vocabulary, shape.width)?),
            false => None,
        };
        weights.nothing_is_left()?;
        Ok(Self {
            rotation: Rotation::new(shape.head_width, shape.rotation_base),
            instructions: Instructions::detect(),
            threads: threads.max(1),
            sequence: Sequence::new(shape.layers, shape.key_width()),
            scratch: Scratch::default(),
            shape,
            embedding,
            layers,
            last_norm,
            output,
        })
    }

    fn embed(&mut self, tokens: &[u32]) -> Result<(), RuntimeError> {
        self.scratch.state.resize(tokens.len() * self.shape.width, 0.0);
        for (token, into) in tokens.iter().zip(self.scratch.state.chunks_mut(self.shape.width)) {
            if *token as usize >= self.shape.vocabulary {
                return Err(RuntimeError::UnknownToken(*token));
            }
            self.embedding.write_row(*token as usize, into);
        }
        Ok(())
    }

    /// One layer over all rows of the state.
    fn pass(&mut self, at: usize, rows: usize) {
        let Self { shape, layers, rotation, instructions, threads, sequence, scratch, .. } = self;
        let (Some(layer), instructions, threads) = (layers.get(at), *instructions, *threads) else { return };
        let product = |activations: &Quantised, weights: &Matrix, into: &mut Vec<f32>| {
            into.resize(rows * weights.rows(), 0.0);
            matmul(instructions, threads, activations, weights, into);
        };

        normalise(instructions, shape, &scratch.state, &layer.attention_norm, &mut scratch.normed);
        quantise(instructions, shape.width, &scratch.normed, &mut scratch.quantised);
        product(&scratch.quantised, &layer.query, &mut scratch.query);
        product(&scratch.quantised, &layer.key, &mut scratch.key);
        product(&scratch.quantised, &layer.value, &mut scratch.value);
        let start = sequence.len();
        rotation.turn(start, shape.query_width(), &mut scratch.query);
        rotation.turn(start, shape.key_width(), &mut scratch.key);
        sequence.append(at, &scratch.key, &scratch.value);
        scratch.attended.resize(rows * shape.query_width(), 0.0);
        let heads =
            Heads { count: shape.heads, shared_by: shape.heads / shape.key_heads, width: shape.head_width };
        let (keys, values) = sequence.layer(at);
        attention::attend(
            instructions,
            threads,
            heads,
            start,
            &scratch.query,
            keys,
            values,
            &mut scratch.attended,
        );
        quantise(instructions, shape.query_width(), &scratch.attended, &mut scratch.quantised);
        product(&scratch.quantised, &layer.attention_output, &mut scratch.product);
        instructions.run(Add { into: &mut scratch.state, values: &scratch.product });

        normalise(instructions, shape, &scratch.state, &layer.feed_forward_norm, &mut scratch.normed);
        quantise(instructions, shape.width, &scratch.normed, &mut scratch.quantised);
        product(&scratch.quantised, &layer.gate, &mut scratch.gate);
        product(&scratch.quantised, &layer.up, &mut scratch.up);
        instructions.run(Gate { gate: &mut scratch.gate, up: &scratch.up });
        quantise(instructions, shape.inner_width, &scratch.gate, &mut scratch.quantised);
        product(&scratch.quantised, &layer.down, &mut scratch.product);
        instructions.run(Add { into: &mut scratch.state, values: &scratch.product });
    }

    /// Readies the last row of the state for the output.
    fn finish(&mut self) -> Result<(), RuntimeError> {
        let Self { shape, instructions, scratch, last_norm, .. } = self;
        let last = scratch.state.len().saturating_sub(shape.width);
        let last = scratch.state.get(last..).unwrap_or_default();
        if last.iter().any(|value| !value.is_finite()) {
            return Err(RuntimeError::NotANumber);
        }
        normalise(*instructions, shape, last, last_norm, &mut scratch.normed);
        quantise(*instructions, shape.width, &scratch.normed, &mut scratch.last);
        Ok(())
    }
}

impl Runtime for Llama {
    type Kept = Sequence;

    fn context_tokens(&self) -> usize {
        self.shape.context
    }

    fn parameters(&self) -> u64 {
        let matrix = |matrix: &Matrix| (matrix.rows() * matrix.columns()) as u64;
        let layer = |layer: &Layer| {
            let Layer {
                attention_norm,
                query,
                key,
                value,
                attention_output,
                feed_forward_norm,
                gate,
                up,
                down,
            } = layer;
            let matrices = [query, key, value, attention_output, gate, up, down];
            matrices.map(matrix).iter().sum::<u64>() + (attention_norm.len() + feed_forward_norm.len()) as u64
        };
        matrix(&self.embedding)
            + self.layers.iter().map(layer).sum::<u64>()
            + self.last_norm.len() as u64
            + self.output.as_ref().map_or(0, matrix)
    }

    fn clear(&mut self) {
        self.sequence.truncate(0);
        self.scratch.last = Quantised::default();
    }

    fn resume(&mut self, kept: &Sequence, tokens: usize) -> usize {
        self.clear();
        self.sequence.copy_from(kept, tokens);
        self.sequence.len()
    }

    fn keep(&self, tokens: usize) -> Sequence {
        let mut kept = Sequence::new(self.shape.layers, self.shape.key_width());
        kept.copy_from(&self.sequence, tokens);
        kept
    }

    fn batch(&self) -> Batch {
        Batch::Any
    }

    fn feed(&mut self, tokens: &[u32], stop: &mut dyn FnMut() -> bool) -> Result<Pass, RuntimeError> {
        if tokens.is_empty() {
            return Ok(Pass::Whole);
        }
        if self.sequence.len() + tokens.len() > self.shape.context {
            return Err(RuntimeError::Full { context_tokens: self.shape.context });
        }
        self.embed(tokens)?;
        self.rotation.reach(self.sequence.len() + tokens.len());
        for layer in 0..self.layers.len() {
            // What a layer takes is far more than a look at the clock.
            if stop() {
                return Ok(Pass::Stopped);
            }
            self.pass(layer, tokens.len());
        }
        self.sequence.advance(tokens.len());
        self.finish()?;
        Ok(Pass::Whole)
    }

    fn scores(&mut self, tokens: &[u32]) -> Result<&[f32], RuntimeError> {
        if let Some(unknown) = tokens.iter().find(|token| **token as usize >= self.shape.vocabulary) {
            return Err(RuntimeError::UnknownToken(*unknown));
        }
        let Self { instructions, threads, scratch, output, embedding, .. } = self;
        let output = output.as_ref().unwrap_or(embedding);
        // A contiguous piece of the vocabulary is one product; a few tokens are a few.
        if tokens.len() == output.rows() && tokens.is_sorted_by(|a, b| a < b) {
            scratch.scores.resize(output.rows(), 0.0);
            matmul(*instructions, *threads, &scratch.last, output, &mut scratch.scores);
        } else {
            numbers::rows_dot(*instructions, *threads, &scratch.last, output, tokens, &mut scratch.scores);
        }
        if scratch.scores.iter().any(|score| !score.is_finite()) {
            return Err(RuntimeError::NotANumber);
        }
        Ok(&scratch.scores)
    }
}

fn layer(weights: &mut Weights, shape: &Shape, at: usize) -> Result<Layer, WeightsError> {
    let name = |what: &str| format!("blk.{at}.{what}.weight");
    let Shape { width, inner_width, .. } = *shape;
    Ok(Layer {
        attention_norm: weights.vector(&name("attn_norm"), width)?,
        query: weights.matrix(&name("attn_q"), shape.query_width(), width)?,
        key: weights.matrix(&name("attn_k"), shape.key_width(), width)?,
        value: weights.matrix(&name("attn_v"), shape.key_width(), width)?,
        attention_output: weights.matrix(&name("attn_output"), width, shape.query_width())?,
        feed_forward_norm: weights.vector(&name("ffn_norm"), width)?,
        gate: weights.matrix(&name("ffn_gate"), inner_width, width)?,
        up: weights.matrix(&name("ffn_up"), inner_width, width)?,
        down: weights.matrix(&name("ffn_down"), width, inner_width)?,
    })
}

fn normalise(instructions: Instructions, shape: &Shape, rows: &[f32], weights: &[f32], into: &mut Vec<f32>) {
    into.resize(rows.len(), 0.0);
    instructions.run(Normalise { rows, weights, epsilon: shape.norm_epsilon, into });
}

fn quantise(instructions: Instructions, columns: usize, values: &[f32], into: &mut Quantised) {
    instructions.run(Quantise { columns, values, into });
}

struct Quantise<'a> {
    columns: usize,
    values: &'a [f32],
    into: &'a mut Quantised,
}

impl Work for Quantise<'_> {
    #[inline(always)]
    fn run(self, _: impl Lanes) {
        self.into.fill(self.columns, self.values);
    }
}

struct Add<'a> {
    into: &'a mut [f32],
    values: &'a [f32],
}

impl Work for Add<'_> {
    #[inline(always)]
    fn run(self, _: impl Lanes) {
        for (into, value) in self.into.iter_mut().zip(self.values) {
            *into += value;
        }
    }
}
