"""The video VAE's cost by formula: a list of its convolutions, walked in the order they run.

Wan2.2's VAE works in causal chunks: the first frame alone, then four frames a latent. Between chunks every temporal
convolution remembers two frames of its input, so that memory does not grow with the clip. Sizes below are those of one
chunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from video4spatial.schema import InputError

REMEMBERED = 2  # frames that a temporal convolution keeps of its input


@dataclass(frozen=True)
class VaeShape:
    """The sizes of an ``AutoencoderKLWan`` with residual blocks; defaults are Wan2.2's."""

    base: int = 160
    decoder_base: int = 256
    latent: int = 48
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    residuals: int = 2
    temporal: tuple[bool, ...] = (False, True, True)
    channels: int = 12  # colours times the patch's area
    patch: int = 2

    @classmethod
    def from_config(cls, config: Any) -> "VaeShape":
        """From a VAE's ``config`` (or the mapping that its config.json holds).

        Raises:
            InputError: it is not of Wan2.2's kind (Wan2.1's has no residual down and up blocks).
        """
        c = dict(config)
        if not c["is_residual"]:
            raise InputError("the planner knows the VAE of Wan2.2 (is_residual), not that of Wan2.1")
        return cls(
            base=c["base_dim"],
            decoder_base=c["decoder_base_dim"] or c["base_dim"],
            latent=c["z_dim"],
            multipliers=tuple(c["dim_mult"]),
            residuals=c["num_res_blocks"],
            temporal=tuple(c["temperal_downsample"]),
            channels=c["in_channels"],
            patch=c["patch_size"] or 1,
        )


@dataclass(frozen=True)
class Convolution:
    """One convolution as it runs on a chunk: kernel volume ``taps``, output ``frames x area``.

    ``remembered``: elements it keeps of its input for the next chunk. ``runs``: it is skipped on the first frame where
    it would mix frames in time.
    """

    inputs: int
    outputs: int
    taps: int
    frames: int
    area: int
    remembered: int = 0
    runs: bool = True

    @property
    def parameters(self) -> int:
        return self.inputs * self.outputs * self.taps + self.outputs

    @property
    def flops(self) -> float:
        return 2.0 * self.inputs * self.outputs * self.taps * self.frames * self.area * self.runs


@dataclass(frozen=True)
class Stage:
    """A down or up block: what comes in and what its residual blocks work on, and the upsampled result if any."""

    inputs: int
    outputs: int
    frames: int
    area: int


def _causal(inputs: int, outputs: int, frames: int, area: int) -> Convolution:
    return Convolution(inputs, outputs, 27, frames, area, REMEMBERED * inputs * area)


def _residual(inputs: int, outputs: int, frames: int, area: int) -> Iterator[Convolution]:
    yield _causal(inputs, outputs, frames, area)
    yield _causal(outputs, outputs, frames, area)
    if inputs != outputs:
        yield Convolution(inputs, outputs, 1, frames, area)


def _middle(dim: int, frames: int, area: int) -> Iterator[Convolution]:
    yield from _residual(dim, dim, frames, area)
    yield Convolution(dim, 3 * dim, 1, frames, area)  # attention's query, key, value
    yield Convolution(dim, dim, 1, frames, area)
    yield from _residual(dim, dim, frames, area)


def encoder_stages(shape: VaeShape, width: int, height: int, first: bool = False) -> list[Stage]:
    """The encoder's blocks on a chunk of ``width`` x ``height`` pixels (``first``: the single first frame)."""
    dims = [shape.base * m for m in (1, *shape.multipliers)]
    frames, area = 1 if first else 4, (width // shape.patch) * (height // shape.patch)
    stages = []
    for number, (inputs, outputs) in enumerate(pairwise(dims)):
        stages.append(Stage(inputs, outputs, frames, area))
        if number < len(dims) - 2:
            area //= 4
            frames = max(1, frames // 2) if shape.temporal[number] else frames
    return stages


def decoder_stages(shape: VaeShape, width: int, height: int, first: bool = False) -> list[Stage]:
    """The decoder's blocks on one latent frame, from the smallest to full size."""
    dims = [shape.decoder_base * m for m in (shape.multipliers[-1], *reversed(shape.multipliers))]
    scale = shape.patch * 2 ** (len(shape.multipliers) - 1)
    frames, area = 1, (width // scale) * (height // scale)
    stages = []
    for number, (inputs, outputs) in enumerate(pairwise(dims)):
        stages.append(Stage(inputs, outputs, frames, area))
        if number < len(dims) - 2:
            area *= 4
            frames *= 2 if shape.temporal[::-1][number] and not first else 1
    return stages


def encoder_convolutions(shape: VaeShape, width: int, height: int, first: bool = False) -> list[list[Convolution]]:
    """Every convolution of the encoder in order: those before its blocks, those of each block, those after."""
    stages = encoder_stages(shape, width, height, first)
    groups = [[_causal(shape.channels, shape.base, stages[0].frames, stages[0].area)]]
    for number, s in enumerate(stages):
        group = []
        for block in range(shape.residuals):
            group += _residual(s.inputs if block == 0 else s.outputs, s.outputs, s.frames, s.area)
        if number < len(stages) - 1:
            c, after = s.outputs, stages[number + 1]
            group.append(Convolution(c, c, 9, s.frames, after.area))
            if shape.temporal[number]:
                group.append(Convolution(c, c, 3, after.frames, after.area, c * after.area, runs=not first))
        groups.append(group)
    last = stages[-1]
    head = _causal(last.outputs, 2 * shape.latent, last.frames, last.area)
    quantiser = Convolution(2 * shape.latent, 2 * shape.latent, 1, last.frames, last.area)
    return [*groups, [*_middle(last.outputs, last.frames, last.area), head, quantiser]]


def decoder_convolutions(shape: VaeShape, width: int, height: int, first: bool = False) -> list[list[Convolution]]:
    """Every convolution of the decoder in order, grouped as the encoder's."""
    stages = decoder_stages(shape, width, height, first)
    start, last = stages[0], stages[-1]
    quantiser = Convolution(shape.latent, shape.latent, 1, 1, start.area)
    groups = [[quantiser, _causal(shape.latent, start.inputs, 1, start.area), *_middle(start.inputs, 1, start.area)]]
    for number, s in enumerate(stages):
        group = []
        for block in range(shape.residuals + 1):
            group += _residual(s.inputs if block == 0 else s.outputs, s.outputs, s.frames, s.area)
        if number < len(stages) - 1:
            c, after = s.outputs, stages[number + 1]
            if shape.temporal[::-1][number]:
                group.append(Convolution(c, 2 * c, 3, s.frames, s.area, REMEMBERED * c * s.area, runs=not first))
            group.append(Convolution(c, c, 9, after.frames, after.area))
        groups.append(group)
    return [*groups, [_causal(last.outputs, shape.channels, last.frames, last.area)]]


def _norm_scales(dims: list[Stage], residuals: int, middle: int) -> int:
    """Scales of the RMS norms: two a residual block, one in the middle's attention, one before the last convolution."""
    blocks = sum(s.inputs + s.outputs + (residuals - 1) * 2 * s.outputs for s in dims)
    return blocks + 4 * middle + middle + dims[-1].outputs


def vae_parameters(shape: VaeShape) -> tuple[int, int]:
    """Parameters of the encoder and of the decoder, each with its convolution at the latents."""
    size = 2 ** (len(shape.multipliers) - 1) * shape.patch
    encoder, decoder = encoder_stages(shape, size, size), decoder_stages(shape, size, size)
    return (
        sum(c.parameters for c in chain(*encoder_convolutions(shape, size, size)))
        + _norm_scales(encoder, shape.residuals, encoder[-1].outputs),
        sum(c.parameters for c in chain(*decoder_convolutions(shape, size, size)))
        + _norm_scales(decoder, shape.residuals + 1, decoder[0].inputs),
    )


def _clip_flops(per_chunk: Any, shape: VaeShape, width: int, height: int, latents: int, middle: Stage) -> float:
    def chunk(first: bool) -> float:
        return sum(c.flops for c in chain(*per_chunk(shape, width, height, first)))

    channels = middle.outputs if per_chunk is encoder_convolutions else middle.inputs
    attention = 4.0 * middle.area**2 * channels  # of the middle block, within a frame
    return chunk(True) + (latents - 1) * chunk(False) + latents * attention


def encode_flops(shape: VaeShape, width: int, height: int, latents: int) -> float:
    """Operations of encoding a video of ``latents`` latent frames."""
    middle = encoder_stages(shape, width, height)[-1]
    return _clip_flops(encoder_convolutions, shape, width, height, latents, middle)


def decode_flops(shape: VaeShape, width: int, height: int, latents: int) -> float:
    """Operations of decoding ``latents`` latent frames."""
    middle = decoder_stages(shape, width, height)[0]
    return _clip_flops(decoder_convolutions, shape, width, height, latents, middle)


def _joined(frames: int, area: float, aspect: float) -> float:
    """What a causal convolution makes of its input before it runs, relative to the input.

    The frames to remember; the remembered ones joined in front; the whole padded by a pixel on each side. A single
    first frame has nothing to join: two frames of zeros are padded in front of it, and the result is alive as well.
    """
    side = (area * aspect) ** 0.5
    padded = (side + 2) * (area / side + 2) / area
    if frames == 1:
        return 1 + (1 + REMEMBERED) * padded
    return min(frames, REMEMBERED) / frames + (frames + REMEMBERED) / frames * (1 + padded)


def _stage_moments(stage: Stage, width: int, height: int, element: int) -> Iterator[float]:
    """Elements alive in a stage, besides what convolutions remember.

    The stage's input lives twice (as it came, and as the copy that the shortcut takes). On top:

    * first convolution: the shortcut's result, the normalised input, two frames for the next chunk, those of the last
      chunk joined in front, and the same padded;
    * later convolutions: the same with a residual block's own input as the shortcut;
    * norm, below float32: input, residual, a float32 copy and its normalised value.
    """
    wide = 4 / element
    joined = _joined(stage.frames, stage.area, width / height)
    inputs, outputs = (c * stage.frames * stage.area for c in (stage.inputs, stage.outputs))
    shortcut = outputs if stage.inputs != stage.outputs else 0
    yield 2 * inputs + shortcut + inputs * (1 + joined)
    yield 2 * inputs + outputs * (2 + joined)
    yield 2 * inputs + outputs * (2 + (2 * wide if element < 4 else 3))


def chunk_bytes(
    shape: VaeShape, part: str, width: int, height: int, element: int = 2, frames: int = 4, clip_frames: int = 0
) -> int:
    """Peak bytes of encoding or decoding one chunk, with what is remembered of the chunks before.

    Args:
        part: "encode" or "decode".
        frames: 4, a chunk; 1, a single first frame (multiply by their number where several go in one batch).
        clip_frames: frames that are on the device (encoding: as pixels and as patches); default those of the chunk.
    """
    first = frames == 1
    walk = (encoder_convolutions if part == "encode" else decoder_convolutions)(shape, width, height, first)
    stages = (encoder_stages if part == "encode" else decoder_stages)(shape, width, height, first)
    kept = [sum(c.remembered for c in group) / (REMEMBERED if first else 1) for group in walk]
    copies = 2 if part == "encode" else 1  # pixels, and patches
    pixels = copies * 3 * max(frames, clip_frames) * width * height
    moments = []
    if part == "encode":  # the first convolution, on patches
        area = (width // shape.patch) * (height // shape.patch)
        joined = shape.channels * _joined(frames, area, width / height)
        moments.append(frames * area * (joined + shape.base) + (0 if first else sum(kept)))
    for number, stage in enumerate(stages):
        remembered = sum(kept[: number + 2]) if first else sum(kept)
        moments += [remembered + moment for moment in _stage_moments(stage, width, height, element)]
    return round(element * (pixels + max(moments)))
