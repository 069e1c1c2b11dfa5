"""The whole command on tiny stores: what is written, run again, refused, skipped, and survives kills."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_tiny_vae
from curate.conftest import CLIP, TAIL, TINY_CLIPS
from curate.stores import contents, copied, prepared, rooms_source
from PIL import Image
from vlm.stub_server import Reply, StubServer, good

from video4spatial.cli import main
from video4spatial.curate.clips import write_clips
from video4spatial.curate.looking import StoredLook
from video4spatial.curate.prepared import PreparedStore
from video4spatial.curate.records import all_labels
from video4spatial.curate.settings import CurationSettings
from video4spatial.data.latent_videos import open_store
from video4spatial.data.sampled import Sampled
from video4spatial.data.scene import BadScene
from video4spatial.data.source import open_source
from video4spatial.geometry.boxes import box_tail
from video4spatial.model.latents import LatentCodec
from video4spatial.schema import DEFAULT_SCENE, Box, InputError, grounding_sentence
from video4spatial.storage.artifacts import StoreLayout
from video4spatial.storage.latents import LatentStore
from video4spatial.storage.scene_shards import SceneShards
from video4spatial.storage.texts import TextStore

ORACLE = ["--vlm", "oracle", *TINY_CLIPS]


def curate(store: Path, *options: str) -> int:
    return main(["curate", str(store), *options])


def answers(store: Path) -> list[dict]:
    return [json.loads(line) for line in StoreLayout(store).answers.read_text().splitlines()]


def test_clips_and_tails_are_encoded_together(curated_store, codec):
    store, clips = LatentStore(curated_store), LatentStore(StoreLayout(curated_store).clips)
    assert len(clips) > 3
    assert clips.verify() == len(clips)
    source = PreparedStore(curated_store).source
    for clip in list(clips)[:: len(clips) // 3]:
        row = store[clip.meta["of"]]
        start, stop = clip.meta["frames"]
        assert (clip.video_id, stop - start) == (f"{row.video_id}@{stop - 1:06d}", CLIP)
        assert (clip.environment_id, clip.width, clip.height, clip.frames) == (row.environment_id, 64, 32, CLIP + TAIL)
        assert clip.meta["tail_latents"] == TAIL // 4
        assert clip.meta["sentences"][1] == grounding_sentence(clip.meta["phrase"], DEFAULT_SCENE)
        assert clip.meta["sentences"][0] == grounding_sentence(clip.meta["phrase"], clip.meta["scene"])
        frames = Sampled.of_stored(source.open(row.meta["source"]), row).frames(range(start, stop))
        whole = np.concatenate([frames, box_tail(frames[-1], Box(*clip.meta["box"]), TAIL)])
        latents = clips.read(clip.video_id, "video")
        assert latents.equal(codec.encode(whole).half())
        torch.testing.assert_close(latents[:, :1].float(), codec.encode_images(frames[:1]), atol=2e-3, rtol=2e-3)
        c2w = clips.read(clip.video_id, "c2w")
        assert c2w[:CLIP].equal(store.read(row.video_id, "c2w", range(start, stop)))
        assert all(pose.equal(c2w[CLIP - 1]) for pose in c2w[CLIP:])


def test_sentences_absent_objects_and_the_report(curated_store):
    layout = StoreLayout(curated_store)
    clips = LatentStore(layout.clips)
    texts = TextStore([curated_store])
    texts.require(["", *(sentence for clip in clips for sentence in clip.meta["sentences"])])
    absent = [json.loads(line) for line in layout.absent.read_text().splitlines()]
    assert absent
    assert all(one["present"] is False and one["environment_id"] != one["taken_from"] for one in absent)
    report = json.loads(layout.curation_report.read_text())
    assert report["frames"] == sum(report["objects"].values()) == 75
    assert report["objects"]["found"] == sum(report["drops"].values()) + sum(report["descriptions"].values())
    assert report["clips"] == len(clips) == sum(report["categories"].values())
    assert report["videos"] == {"stored": 3, "labelled": 3, "skipped": 0}


def test_labels_keep_what_became_of_every_frame(curated_store):
    store = PreparedStore(curated_store)
    labels = all_labels(store.layout, [row.video_id for row in store.rows])
    assert [[look.frame for look in found.looks] for found in labels.values()] == [list(range(25))] * 3
    fates = Counter(look.fate for found in labels.values() for look in found.looks)
    assert {"kept", "nothing centred", "too early"} <= set(fates)
    centred = [look for found in labels.values() for look in found.looks if look.fate == "too early"]
    assert all(look.target is not None and look.frame < CLIP - 1 for look in centred)


def test_a_second_run_asks_nothing_and_changes_nothing(curated_store, tmp_path):
    store = copied(curated_store, tmp_path / "s")
    before = contents(store, ())
    assert curate(store, *ORACLE) == 0
    assert contents(store, ()) == before


def test_other_settings_are_refused_until_redo(curated_store, tmp_path, capfd):
    store = copied(curated_store, tmp_path / "s")
    before = contents(store)
    assert curate(store, *ORACLE, "--spacing", "6", "--centre-ratio", "0.4") == 2
    told = capfd.readouterr().err
    assert "centre_ratio 0.3, not 0.4; spacing 1, not 6" in told
    assert "--redo" in told
    assert contents(store) == before
    asked = answers(store)
    assert curate(store, *ORACLE, "--spacing", "6", "--redo") == 0
    assert answers(store) == asked  # fewer clips: each was described before
    ends: dict[tuple, int] = {}
    clips = LatentStore(StoreLayout(store).clips)
    assert 0 < len(clips) < len(LatentStore(StoreLayout(curated_store).clips))
    for clip in clips:
        key = clip.meta["of"], clip.meta["label"]
        assert clip.meta["frames"][1] - ends.get(key, -6) >= 6
        ends[key] = clip.meta["frames"][1]
    assert json.loads(StoreLayout(store).curation_report.read_text())["drops"]["too close"]


def test_another_vae_is_refused(room_store, tmp_path, capfd):
    store = copied(room_store, tmp_path / "s")
    assert curate(store, *ORACLE, "--model", "rooms-small") == 2
    assert "was encoded with another VAE than that of rooms-small" in capfd.readouterr().err
    assert not StoreLayout(store).labels.exists()


def test_too_short_videos_are_named_skipped_and_counted(codec, pipeline_folder, room_store, tmp_path, capfd):
    store = copied(room_store, tmp_path / "s")
    prepared_short = prepared(tmp_path / "short", rooms_source("7:8", frames=5), codec, pipeline_folder, clip=5)
    shard = "room7-0.safetensors"
    (store / "shards" / shard).write_bytes((prepared_short / "shards" / shard).read_bytes())
    SceneShards(store).reindex()
    assert curate(store, *ORACLE, "--strict") == 2
    assert "room7-0: it has 5 stored frames, a clip needs 9" in capfd.readouterr().err
    assert curate(store, *ORACLE) == 3
    printed = capfd.readouterr()
    assert "skipped room7-0: it has 5 stored frames" in printed.out
    assert "1 left out" in printed.err
    assert json.loads(StoreLayout(store).curation_report.read_text())["videos"]["skipped"] == 1


def clipped(store: Path) -> str:
    """A video that has clips."""
    return next(iter(LatentStore(StoreLayout(store).clips))).meta["of"]


def test_what_is_of_a_video_no_longer_in_the_store_goes(curated_store, tmp_path):
    store = copied(curated_store, tmp_path / "s")
    gone = clipped(store)
    StoreLayout(store).scene_shard(gone).unlink()
    SceneShards(store).reindex()
    with pytest.raises(InputError, match=r"which is not in the store: curate .* again"):
        open_store(str(store))
    assert curate(store, *ORACLE) == 0
    left = open_store(str(store))
    assert len({video.environment_id for video in left}) == 2
    assert not any(video.video_id.startswith(gone) for video in left)
    assert not StoreLayout(store).label(gone).exists()


def test_damaged_clips_are_found_removed_and_made_anew(curated_store, pipeline_folder, tmp_path, capfd):
    store = copied(curated_store, tmp_path / "s")
    verify = ["prepare", "rooms", "0:3", str(store), "--verify", "--model", str(pipeline_folder)]
    assert main(verify) == 0
    assert f"3 videos and {len(LatentStore(StoreLayout(store).clips))} clips are sound" in capfd.readouterr().out
    shard = StoreLayout(StoreLayout(store).clips).scene_shard(clipped(store))
    flipped = bytearray(shard.read_bytes())
    flipped[-1] ^= 1
    shard.write_bytes(flipped)
    assert main([*verify, "--repair"]) == 3
    printed = capfd.readouterr()
    assert f"{shard} holds other bytes than were written" in printed.err
    assert "0 scenes are to be made anew" in printed.out
    assert "and clips: run curate again" in printed.out
    assert main(verify) == 0
    assert curate(store, *ORACLE) == 0
    assert contents(store) == contents(curated_store)


def test_clips_that_half_precision_cannot_hold(curated_store, tmp_path):
    store = PreparedStore(curated_store)
    row = next(row for row in store.rows if row.video_id == clipped(curated_store))
    labels = all_labels(store.layout, [row.video_id])[row.video_id]
    vae = make_tiny_vae()
    vae.register_to_config(latents_std=[1.0] * 47 + [1e-9])
    shards = SceneShards(tmp_path)
    look = StoredLook(store.source.open(row.meta["source"]), row, 1024)
    settings = CurationSettings("oracle", clip_frames=CLIP, tail_frames=TAIL)
    with pytest.raises(BadScene, match=r"room\d-0@.*: clip latents near its frame .* overflow half precision"):
        write_clips(shards, row, look.as_stored(), labels, LatentCodec(vae), settings)
    assert not shards.has(row.video_id)


def photographs(root: Path, names: str = "ab", count: int = 13) -> Path:
    """Folders of images 64x32 whose first pixel is a number that the stub reads: 20 a folder."""
    for place, name in enumerate(names):
        folder = root / name
        folder.mkdir(parents=True)
        noise = np.random.default_rng(place).integers(0, 255, (count, 32, 64, 3), dtype=np.uint8)
        for number, frame in enumerate(noise):
            frame[0, 0] = 20 * place + number, 0, 0
            Image.fromarray(frame).save(folder / f"{number:03d}.png")
    return root


@pytest.fixture(scope="module")
def photo_store(tmp_path_factory, codec, pipeline_folder) -> Path:
    root = tmp_path_factory.mktemp("photos")
    source = open_source("videos", photographs(root / "source"))
    return prepared(root / "store", source, codec, pipeline_folder)


def server(stub: StubServer, *more: str) -> list[str]:
    return ["--url", stub.url, "--vlm-model", "stub", "--timeout", "0.6", *TINY_CLIPS, *more]


CENTRED, ASIDE = good(), good(bbox_2d=(0, 0, 100, 100))
SOON = {"retry-after-ms": "5"}
DESCRIBED = Reply('{"scene": "a room", "object": "the chair"}')
#: by number of the frame, what is answered when asked for objects, the last one again and again
BADLY: dict[int, list[Reply]] = {
    0: [Reply("")],
    1: [Reply("no idea")],
    2: [Reply(CENTRED[:-5])],
    3: [Reply(good(bbox_2d=(5, 5, 1001, 9)))],
    4: [Reply(good(bbox_2d=(9, 9, 5, 5)))],
    5: [Reply("I'm sorry, I can't.")],
    6: [Reply(status=400)],
    7: [Reply('{"objects": []}')],
    8: [Reply(status=503, headers=SOON), Reply(CENTRED)],
    9: [Reply(delay=1.0), Reply(CENTRED)],
    10: [Reply(hang_up=True), Reply(CENTRED)],
    11: [Reply(ASIDE)],
    20: [Reply(ASIDE, delay=0.1)],
}


def test_a_server_that_answers_well_badly_and_slowly(photo_store, tmp_path):
    store = copied(photo_store, tmp_path / "s")
    wordless = {12: Reply("A chair."), 31: Reply(status=429, headers=SOON)}
    attempts: Counter[tuple[int, str]] = Counter()

    def behave(number: int, _: int) -> Reply:
        kind = stub.bodies[-1]["response_format"]["json_schema"]["name"]
        attempt = attempts[number, kind]
        attempts[number, kind] += 1
        if kind == "description":
            return wordless[number] if number in wordless and (number == 12 or not attempt) else DESCRIBED
        replies = BADLY.get(number, [Reply(CENTRED)])
        return replies[min(attempt, len(replies) - 1)]

    with StubServer(behave) as stub:
        assert curate(store, *server(stub, "--concurrency", "4")) == 0
        report = json.loads(StoreLayout(store).curation_report.read_text())
        assert report["objects"] == {
            **dict.fromkeys(("empty", "malformed", "truncated", "out of range", "swapped", "refused", "rejected"), 1),
            "nothing": 1,
            "found": 18,
        }
        assert report["drops"] == {"nothing centred": 2, "too early": 7}
        assert report["descriptions"] == {"found": 8, "malformed": 1}
        assert len(LatentStore(StoreLayout(store).clips)) == report["clips"] == 8
        asked = stub.asked.total()
        assert curate(store, *server(stub, "--concurrency", "4")) == 0
        assert stub.asked.total() == asked
        assert curate(store, *server(stub, "--redo")) == 0
        assert stub.asked.total() == asked + 1  # the rejected one is not kept


def test_a_server_that_goes_down_costs_nothing_that_was_answered(photo_store, tmp_path, capfd):
    def behave(_: int, __: int) -> Reply:
        kind = stub.bodies[-1]["response_format"]["json_schema"]["name"]
        return DESCRIBED if kind == "description" else Reply(CENTRED)

    clean, store = copied(photo_store, tmp_path / "clean"), copied(photo_store, tmp_path / "s")
    with StubServer(behave) as stub:
        assert curate(clean, *server(stub)) == 0
        needed = stub.asked.total()
    with StubServer(behave, most=needed // 2 + 3) as stub:
        assert curate(store, *server(stub, "--retries", "0", "--concurrency", "2")) == 2
    told = capfd.readouterr().err
    assert "cannot be reached" in told
    assert "1 of 2 videos are labelled" in told
    assert "the same command asks only what is missing" in told
    kept = len(answers(store))
    assert kept >= needed // 2
    with StubServer(behave) as stub:
        assert curate(store, *server(stub)) == 0
        assert stub.asked.total() == needed - kept
    assert contents(store) == contents(clean)
    assert {record["key"] for record in answers(store)} == {record["key"] for record in answers(clean)}


def test_a_source_that_is_gone_is_named(photo_store, codec, pipeline_folder, tmp_path, capfd):
    source = photographs(tmp_path / "source")
    store = prepared(tmp_path / "store", open_source("videos", source), codec, pipeline_folder)
    for file in (source / "a").iterdir():
        file.unlink()
    (source / "a" / "x.png").write_bytes(b"")

    def behave(_: int, __: int) -> Reply:
        return Reply('{"objects": []}')

    with StubServer(behave) as stub:
        assert curate(store, *server(stub)) == 3
        assert "skipped a: " in capfd.readouterr().out
        source.rename(tmp_path / "moved")
        assert curate(store, *server(stub)) == 2
        assert "--root says where it lies now" in capfd.readouterr().err
        assert curate(store, *server(stub), "--root", str(tmp_path / "moved"), "--strict") == 2


def test_no_oracle_for_plain_videos(photo_store, capfd):
    assert curate(photo_store, *ORACLE) == 2
    assert "a store of videos carries no annotation to answer from" in capfd.readouterr().err


def test_bad_options_are_named(room_store, curated_store, capfd):
    for options, said in (
        (["--tail-frames", "6"], "use 4 or 8"),
        (["--clip-frames", "10"], "use 9 or 13"),
        (["--look-size", "0"], "look_size"),
        (["--spacing", "0"], "spacing"),
    ):
        assert curate(room_store, "--vlm", "oracle", *options) == 2
        assert said in capfd.readouterr().err
    assert curate(room_store, "--key-variable", "V4S_NO_SUCH_KEY", *TINY_CLIPS) == 2
    assert "V4S_NO_SUCH_KEY" in capfd.readouterr().err
    assert curate(room_store, "--export", "x.parquet") == 2
    assert "not curated yet" in capfd.readouterr().err
    assert not StoreLayout(room_store).curation.exists()


@pytest.mark.slow
def test_killed_at_twenty_moments(room_store, curated_store, tmp_path):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kill_worker.py")), str(room_store), str(tmp_path), *ORACLE],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout.splitlines()[-1])
    assert kills["kills"] == 20
    assert len(kills["left"]) >= 4  # they hit at different stages
    stores = [Path(path) for path in kills["stores"]]
    assert stores
    for store in stores:
        assert contents(store) == contents(curated_store)
        assert {record["key"] for record in answers(store)} == {record["key"] for record in answers(curated_store)}
