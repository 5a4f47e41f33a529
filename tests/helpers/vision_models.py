"""Random detectors of torchvision that find something, and files of their weights with descriptions."""

import json

import pytest

torch = pytest.importorskip("torch", reason="needs pointsam[sam]")
models = pytest.importorskip("torchvision", reason="needs pointsam[sam]").models

SIZES = {"min_size": 64, "max_size": 96}
LABELS = ("", "car", "person", "traffic light")


def vision_model(name, labels=LABELS, **more):
    """A random detector, the same one at every call. Scores differ by label, so that boxes pass the threshold."""
    torch.manual_seed(sum(map(ord, name)))
    size = {} if name.startswith("ssd") else SIZES
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=len(labels), **size, **more)
    for key, value in model.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
        if key.endswith("running_mean"):
            value.normal_(0, 0.1)
    for key, value in model.named_parameters():
        if key.endswith("bias") and any(part in key for part in ("cls_score", "cls_logits", "classification_head")):
            torch.nn.init.normal_(value)
    return model.eval()


def save_vision(folder, name, model, labels=LABELS, suffix=".pth", **fields):
    """Write the weights and their description; its path."""
    from safetensors.torch import save_file

    save = torch.save if suffix == ".pth" else save_file
    save(model.state_dict(), folder / f"weights{suffix}")
    size = {} if name.startswith("ssd") else {"min_px": SIZES["min_size"], "max_px": SIZES["max_size"]}
    told = {"torchvision": name, "weights": f"weights{suffix}", "labels": labels, **size, **fields}
    (folder / "net.json").write_text(json.dumps(told))
    return folder / "net.json"
