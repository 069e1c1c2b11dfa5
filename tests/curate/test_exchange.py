"""Annotations go out without pixels and come back as the same clips, on the same data and on other crops of it."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curate.conftest import TINY_CLIPS
from curate.stores import contents, copied, prepared, rooms_source
from hypothesis import given
from hypothesis import strategies as st

from video4spatial.cli import main
from video4spatial.curate.annotations import ClipAnnotation, read_annotations, write_annotations
from video4spatial.curate.framing import Framing
from video4spatial.geometry.boxes import iou
from video4spatial.schema import Box, InputError, grounding_sentence
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore

TAIL = TINY_CLIPS[2:]


def curate(store: Path, *options: str) -> int:
    return main(["curate", str(store), *options])


def clips(store: Path) -> dict[str, bytes]:
    return contents(StoreLayout(store).clips) | {
        f"text/{name}": content for name, content in contents(StoreLayout(store).texts).items()
    }


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_a_round_trip_gives_the_same_clips(curated_store, room_store, tmp_path, suffix):
    file = tmp_path / f"rooms{suffix}"
    assert curate(curated_store, "--export", str(file)) == 0
    again = file.read_bytes()
    assert curate(curated_store, "--export", str(file)) == 0
    assert file.read_bytes() == again
    store = copied(room_store, tmp_path / "s")
    assert curate(store, "--import", str(file), *TAIL) == 0
    assert clips(store) == clips(curated_store)
    assert not StoreLayout(store).absent.exists()  # what nobody listed is not absent
    assert curate(store, "--import", str(file), *TAIL) == 0
    second = tmp_path / f"second{suffix}"
    assert curate(store, "--export", str(second)) == 0
    kept = [one.frames for one in read_annotations(file)]
    assert [one.frames for one in read_annotations(second)] == kept
    assert kept


def test_rows_speak_of_the_source(curated_store, tmp_path, codec, pipeline_folder):
    """Every second frame of a wider picture: frame numbers and boxes are the source's, not the store's."""
    options = {"frames": 49, "width": 96}
    source = rooms_source("0:1", **options)
    store = prepared(tmp_path / "s", source, codec, pipeline_folder, every=2)
    wide = ["--centre-ratio", "0.9"]
    assert curate(store, "--vlm", "oracle", *TINY_CLIPS, *wide) == 0
    file = tmp_path / "a.jsonl"
    assert curate(store, "--export", str(file)) == 0
    rows = read_annotations(file)
    stored = {clip.video_id: clip for clip in LatentStore(StoreLayout(store).clips)}
    assert len(rows) == len(stored) > 0
    for row in rows:
        clip = stored[f"{row.video}@{(row.stop - 1) // 2:06d}"]
        assert (row.every, len(row.frames), row.dataset, row.unit) == (2, 9, "rooms", "room0-0")
        assert (row.width, row.height) == (96, 32)
        x0, y0, x1, y1 = clip.meta["box"]
        assert (row.x0, row.y0, row.x1, row.y1) == pytest.approx((x0 + 16, y0, x1 + 16, y1), abs=1e-3)

    whole = prepared(tmp_path / "whole", source, codec, pipeline_folder, every=2, size=(96, 32))
    assert curate(whole, "--import", str(file), *TAIL, *wide) == 0
    for clip in LatentStore(StoreLayout(whole).clips):
        x0, y0, x1, y1 = stored[clip.video_id].meta["box"]
        assert iou(Box(*clip.meta["box"]), Box(x0 + 16, y0, x1 + 16, y1)) > 0.999


def test_what_does_not_fit_is_counted(curated_store, room_store, tmp_path, capfd):
    file = tmp_path / "a.jsonl"
    assert curate(curated_store, "--export", str(file)) == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    first, *others = rows
    moved = [
        first | {"unit": "room99-0", "stop": first["stop"]},
        first | {"start": first["start"] + 100, "stop": first["stop"] + 100},
        first | {"x0": 0.0, "x1": 3.0},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*moved, *others]))
    store = copied(room_store, tmp_path / "s")
    assert curate(store, "--import", str(file), *TAIL) == 3
    printed = capfd.readouterr().out
    assert "not imported: 1 clips of room99-0: its video is not in this store" in printed
    assert f"not imported: 1 clips of {first['unit']}: its frames are not among the stored ones" in printed
    report = json.loads(StoreLayout(store).curation_report.read_text())
    assert report["drops"] == {"off centre in the crop": 1}
    assert report["clips"] == len(others)


def test_a_box_outside_the_crop_is_counted(tmp_path, codec, pipeline_folder):
    source = rooms_source("1:2", width=96)
    store = prepared(tmp_path / "s", source, codec, pipeline_folder, size=(64, 32))
    frames = {"start": 0, "stop": 9, "every": 1, "width": 96, "height": 32}
    row = annotation(unit="room1-0", video="room1-0", **frames)
    row |= {"x0": 2.0, "y0": 4.0, "x1": 12.0, "y1": 20.0}
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps(row) + "\n")
    assert curate(store, "--import", str(file), *TAIL) == 0
    assert json.loads(StoreLayout(store).curation_report.read_text())["drops"] == {"outside the crop": 1}


def annotation(**changed) -> dict:
    row = {
        "dataset": "rooms", "unit": "room0-0", "video": "room0-0", "environment": "room0", "start": 0, "stop": 9,
        "every": 1, "x0": 28.0, "y0": 14.0, "x1": 36.0, "y1": 18.0, "width": 64, "height": 32, "label": "chair",
        "phrase": "the chair", "scene": "a room", "sentence": grounding_sentence("the chair", "a room"), "vlm": "me",
    }  # fmt: skip
    return row | changed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"dataset": "rooms"}\n', "row 1 has no unit, video"),
        (b"[1, 2]\n", "row 1 is not an object"),
        (b"\n{\n", "line 2: not JSON"),
        (b'{"label": "ch\xe9"}\n', r"line 1: not UTF-8 \(byte 13\)"),
        (json.dumps(annotation(stop=True)).encode(), "stop is True, which is not int"),
        (json.dumps(annotation(label=None)).encode(), "label is None"),
        (json.dumps(annotation(stop=0)).encode(), "frames 0 to 0 by 1 are no clip"),
        (json.dumps(annotation(x1=64.5)).encode(), "not inside its 64x32 frame"),
        (json.dumps(annotation(phrase="the table")).encode(), "the sentence is not made of"),
        (b"\n".join([json.dumps(annotation()).encode()] * 2), "rows 1 and 2 both end at frame 8 of room0-0"),
        (b'{"x0": NaN}', "row 1 has no dataset"),
    ],
)
def test_damaged_lines_are_named(tmp_path, content, said):
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_annotations(file)


def test_damaged_tables_are_named(tmp_path):
    file = tmp_path / "a.parquet"
    file.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"a\.parquet cannot be read as Parquet"):
        read_annotations(file)
    pq.write_table(pa.table({"dataset": ["rooms"]}), file)
    with pytest.raises(InputError, match="has no column unit, video"):
        read_annotations(file)
    table = pa.Table.from_pylist([annotation()])
    wrong = pa.array([b"ch\xe9"], pa.binary()).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index("label"), "label", wrong), file)
    with pytest.raises(InputError, match="not UTF-8"):
        read_annotations(file)
    for name, said in (("a.csv", "are read from"), ("b.jsonl", "does not exist")):
        with pytest.raises(InputError, match=said):
            read_annotations(tmp_path / name)


def test_files_that_are_not_of_this_store(room_store, tmp_path, capfd):
    file = tmp_path / "a.jsonl"
    for rows, said in (
        ([annotation(dataset="scannetpp")], "annotates scannetpp, but"),
        ([], "it is empty"),
        ([annotation(), annotation(stop=13)], "clips of [9, 13] frames"),
    ):
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert curate(room_store, "--import", str(file), *TAIL) == 2
        assert said in capfd.readouterr().err
    assert not StoreLayout(room_store).curation.exists()
    assert curate(room_store, "--export", "x.csv") == 2


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
corner = st.floats(0, 31, allow_nan=False)


@given(st.lists(st.tuples(words, words, corner, st.floats(0.01, 1)), max_size=4), st.sampled_from(["parquet", "jsonl"]))
def test_any_text_and_number_comes_back(tmp_path_factory, entries, suffix):
    rows = [
        ClipAnnotation(**annotation(
            label=label, phrase=label, scene=scene, sentence=grounding_sentence(label, scene), x0=x, x1=x + size,
            start=place, stop=place + 9,
        ))
        for place, (label, scene, x, size) in enumerate(entries)
    ]  # fmt: skip
    file = tmp_path_factory.mktemp("any") / f"a.{suffix}"
    assert write_annotations(file, rows) == len(rows)
    assert read_annotations(file) == rows


sides = st.integers(32, 2000)


@given(sides, sides, sides, sides, st.integers(16, 1200), st.tuples(*[st.floats(0, 1)] * 4))
def test_boxes_go_to_the_source_and_back(width, height, stored_width, stored_height, look_size, shares):
    framing = Framing.of((width, height), (stored_width, stored_height), look_size)
    assert max(framing.look) <= look_size
    (a, b), (c, d) = sorted(shares[:2]), sorted(shares[2:])
    if b - a < 1e-3 or d - c < 1e-3:
        return
    box = Box(a * framing.look[0], c * framing.look[1], b * framing.look[0], d * framing.look[1])
    source = framing.to_source(box)
    assert -1e-6 <= source.x0 < source.x1 <= width + 1e-6
    back = framing.from_source(source)
    assert back is not None
    assert framing.to_stored(back) == framing.to_stored(box)
