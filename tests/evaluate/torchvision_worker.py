"""A process of its own, where torchvision can be imported: our RAFT and LPIPS against torchvision and torchmetrics."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad

sys.path.append(str(Path(__file__).resolve().parents[1]))
from vlm.tiny_vlm import with_torchvision


def authors_names() -> dict[str, str]:
    """From torchvision's names to those in the authors' checkpoints, module by module."""
    pairs = {
        "update_block.motion_encoder.convcorr1.0": "update_block.encoder.convc1",
        "update_block.motion_encoder.convcorr2.0": "update_block.encoder.convc2",
        "update_block.motion_encoder.convflow1.0": "update_block.encoder.convf1",
        "update_block.motion_encoder.convflow2.0": "update_block.encoder.convf2",
        "update_block.motion_encoder.conv.0": "update_block.encoder.conv",
        "update_block.flow_head.conv1": "update_block.flow_head.conv1",
        "update_block.flow_head.conv2": "update_block.flow_head.conv2",
        "mask_predictor.convrelu.0": "update_block.mask.0",
        "mask_predictor.conv": "update_block.mask.2",
    }
    for gate in "zrq":
        for number in "12":
            pairs[f"update_block.recurrent_block.convgru{number}.conv{gate}"] = f"update_block.gru.conv{gate}{number}"
    for ours, theirs in (("feature_encoder", "fnet"), ("context_encoder", "cnet")):
        pairs |= {f"{ours}.convnormrelu.0": f"{theirs}.conv1", f"{ours}.conv": f"{theirs}.conv2"}
        pairs[f"{ours}.convnormrelu.1"] = f"{theirs}.norm1"
        for block in ("layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1"):
            for number in "12":
                pairs[f"{ours}.{block}.convnormrelu{number}.0"] = f"{theirs}.{block}.conv{number}"
                pairs[f"{ours}.{block}.convnormrelu{number}.1"] = f"{theirs}.{block}.norm{number}"
        for layer in "23":
            for part in "01":
                pairs[f"{ours}.layer{layer}.0.downsample.{part}"] = f"{theirs}.layer{layer}.0.downsample.{part}"
    return pairs


def raft(folder: Path) -> dict:
    from torchvision.models.optical_flow import raft_large

    from video4spatial.evaluate.optical_flow import open_raft
    from video4spatial.schema import InputError

    torch.manual_seed(0)
    model = raft_large(weights=None).eval()
    state = model.state_dict()
    for tensor in state.values():
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.add_(torch.rand(tensor.shape) * 0.1)  # norms as they come are all alike
    names = authors_names()
    theirs = {f"module.{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in state.items()}
    twice = {key.replace("downsample.1", "norm3"): value for key, value in theirs.items() if "downsample.1" in key}
    torch.save(theirs | twice, folder / "raft-things.pth")
    torch.save(state, folder / "torchvision.pth")
    flow, other = open_raft(folder / "raft-things.pth"), open_raft(folder / "torchvision.pth")
    a, b = np.random.default_rng(0).integers(0, 256, (2, 121, 130, 3)).astype(np.uint8)
    found = flow(a, b)
    frames = [torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 127.5 - 1 for frame in (a, b)]
    with torch.no_grad():
        padded = [pad(frame, (3, 3, 3, 4), mode="replicate") for frame in frames]
        expected = model(*padded, num_flow_updates=20)[-1][0].permute(1, 2, 0).numpy()
    torch.save({key: value for key, value in theirs.items() if "flow_head" not in key}, folder / "wrong.pth")
    try:
        open_raft(folder / "wrong.pth")
        wrong = ""
    except InputError as error:
        wrong = str(error)
    loaded, again = flow._model.state_dict(), other._model.state_dict()
    return {
        "name": flow.name,
        "shape": list(found.shape),
        "flow": float(np.abs(found - expected).max() / np.abs(expected).max()),
        "layouts_differ_in": [key for key in state if not loaded[key].equal(again[key])],
        "wrong": wrong,
    }


def lpips(folder: Path) -> dict:
    from torchmetrics.functional.image.lpips import _LPIPS
    from torchvision.models import alexnet, vgg16

    from video4spatial.evaluate.perceptual import open_lpips

    torch.manual_seed(1)
    a, b = torch.rand(2, 3, 3, 64, 48)
    found, expected = [], []
    for trunk, build in (("alex", alexnet), ("vgg", vgg16)):
        with torch.device("meta"):
            features = build(weights=None).features
        features = features.to_empty(device="cpu")
        for tensor in features.parameters():
            torch.nn.init.normal_(tensor, 0, (2 / tensor[0].numel()) ** 0.5 if tensor.ndim > 1 else 0.1)
        state = {f"features.{key}": value for key, value in features.state_dict().items()}
        torch.save(state | {"classifier.6.bias": torch.zeros(1000)}, folder / f"{trunk}.pth")
        reference = _LPIPS(pretrained=True, net=trunk, pnet_rand=True)
        theirs = {key: features.state_dict()[key.partition(".")[2]] for key in reference.net.state_dict()}
        reference.net.load_state_dict(theirs)
        with torch.no_grad():
            found += open_lpips(trunk, folder / f"{trunk}.pth")(a, b).tolist()
            expected += reference(a, b, normalize=True).flatten().tolist()
    return {"lpips": found, "torchmetrics_lpips": expected}


if __name__ == "__main__":
    with_torchvision()
    print(json.dumps(raft(Path(sys.argv[1])) | lpips(Path(sys.argv[1]))))
