"""The two calls of curation (paper section 6.2): list the objects of a frame; describe a clip.

The paper shows its prompts as pictures; the wording here is ours.
"""

import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from video4spatial.vlm.answers import UNITS, Coordinates
from video4spatial.vlm.question import AnswerSchema, FrameSource, Question

LIST_OBJECTS = """\
This picture is one frame of a walk through an indoor place. List the objects in it that a visitor could be asked to \
find: furniture, lamps, appliances, devices, plants, pictures, things on tables and shelves. Leave out walls, floors, \
ceilings, people, reflections, and whatever is too cut off or too blurred to be named with certainty.

Answer with JSON only: {{"objects": [{{"bbox_2d": [x1, y1, x2, y2], "label": "..."}}]}}
- "label" is a short noun phrase without an article. Add the colour, the material or the shape where it tells the \
object from others of its kind: "grey office chair", "wooden bookshelf".
- "bbox_2d" is the tight box around what is visible of that one object: left, top, right, bottom. {units}
- One entry for each object, none twice. If there is nothing to list, answer {{"objects": []}}.

Report bbox coordinates in JSON format."""

DESCRIBE_CLIP = """\
These {count} pictures are frames, in order, of a walk through one indoor place. The last one ends at the object \
marked by this box in it: {box}. {units}

Write the two missing parts of this sentence: "The camera moves across SCENE. Finally, it focuses on OBJECT in the \
center of the frame."

Answer with JSON only: {{"scene": "...", "object": "..."}}
- "scene" is a noun phrase of at most 30 words, with an article, that says what kind of place it is and what stands \
out in it: "a bright office with two desks and a whiteboard".
- "object" is a noun phrase of at most 20 words that begins with "the" and tells this object from every other one in \
the place, by its colour, material, shape or neighbours: "the black monitor beside the window".
- Both are in English, in one line, without a full stop. Do not mention pictures, frames, boxes or the camera."""

OBJECTS = AnswerSchema(
    "objects",
    {
        "type": "object",
        "properties": {
            "objects": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "bbox_2d": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4},
                        "label": {"type": "string"},
                    },
                    "required": ["bbox_2d", "label"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["objects"],
        "additionalProperties": False,
    },
)

DESCRIPTION = AnswerSchema(
    "description",
    {
        "type": "object",
        "properties": {"scene": {"type": "string"}, "object": {"type": "string"}},
        "required": ["scene", "object"],
        "additionalProperties": False,
    },
)


def list_objects(
    frame: UInt8[np.ndarray, "H W 3"], coordinates: Coordinates = "relative-1000", source: FrameSource | None = None
) -> Question:
    """Which objects are in this frame, and where?"""
    return Question((frame,), LIST_OBJECTS.format(units=UNITS[coordinates]), OBJECTS, source)


def describe_clip(
    frames: UInt8[np.ndarray, "T H W 3"],
    label: str,
    bbox_2d: Sequence[int],
    coordinates: Coordinates = "relative-1000",
    source: FrameSource | None = None,
) -> Question:
    """What is this place, and what tells the object from others? ``bbox_2d`` is its box in the last frame, in the same
    coordinates as the VLM gives boxes."""
    box = json.dumps({"bbox_2d": list(bbox_2d), "label": label}, ensure_ascii=False)
    prompt = DESCRIBE_CLIP.format(count=len(frames), box=box, units=UNITS[coordinates])
    return Question(tuple(frames), prompt, DESCRIPTION, source)
