"""4. Your own dataset: a folder of videos with camera paths becomes a store, and you see what training sees of it.

    python examples/4_your_own_dataset.py                       # two rooms, filmed for it
    python examples/4_your_own_dataset.py --videos my-videos    # kitchen.mp4, kitchen.poses.json beside it, and so on
It writes the store and examples.png into runs/examples/4, or --out.
"""

import argparse
from pathlib import Path

from video4spatial import CameraPath, Video4SpatialPipeline
from video4spatial.cli import main
from video4spatial.data.dataset import ExampleSampler, WindowConfig
from video4spatial.data.latent_videos import open_stores
from video4spatial.data.rooms import RoomsConfig, plain_video
from video4spatial.geometry.formats import save_path
from video4spatial.prepare.texts import precompute_text
from video4spatial.storage.sheet import contact_sheet, write_image
from video4spatial.storage.video import write_video

parser = argparse.ArgumentParser()
parser.add_argument("--videos", type=Path, help="a folder of videos; two rooms are filmed unless given")
parser.add_argument("--out", type=Path, default=Path("runs/examples/4"))
options = parser.parse_args()
videos, store = options.videos or options.out / "videos", options.out / "store"
for seed in () if options.videos else (7, 8):  # a walk of 161 frames, and where the camera was in each
    walk = plain_video(RoomsConfig().room(seed), RoomsConfig())
    write_video(videos / f"room{seed}.mp4", walk.clip)
    save_path(videos / f"room{seed}.poses.json", CameraPath(walk.c2w, walk.intrinsics), "nerfstudio")
main(["prepare", "videos", str(videos), str(store), "--every", "1"])  # the frozen VAE; stopped, it goes on
sampler = ExampleSampler(open_stores([str(store)]), WindowConfig(navigation=1.0))
batch = sampler.batch(step=0, size=3)  # what step 0 trains on: it depends on the seed and the step alone
pipe = Video4SpatialPipeline.from_pretrained("rooms-small")
precompute_text(store, pipe.tokenizer, pipe.text_encoder)  # of no sentence: curate STORE adds sentences to go by
rows = {f"target of {name}": pipe.codec.decode(target) for name, target in zip(batch.ids, batch.target, strict=True)}
write_image(options.out / "examples.png", contact_sheet(rows))
settings = f"start=rooms-small data.roots={store} data.held_out=0 window.navigation=1 previews=false"
print(f"{options.out / 'examples.png'}; context latents of the first: {batch.context_index[0].tolist()}; to train:")
print("video4spatial train rooms:transformer_cpu --set", " --set ".join(settings.split()))
