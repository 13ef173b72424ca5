"""Opens what `deno task export --format star` writes; see the README of this folder.

python star.py DIR KEYS    DIR/model/train.pkl has the names and shapes of the list, tests/golden's keys-star-300w.json
"""

import json
import sys

import torch


def check(folder, keys):
    checkpoint = torch.load(f"{folder}/model/train.pkl", map_location="cpu", weights_only=True, mmap=True)
    want = {name: tuple(shape) for name, shape in json.load(open(keys))["keys"].items()}
    failed = 0
    for part in ("net", "net_ema"):
        got = {name: tuple(tensor.shape) for name, tensor in checkpoint[part].items()}
        finite = all(bool(torch.isfinite(tensor).all()) for tensor in checkpoint[part].values())
        failed += got != want or not finite
        print("ok  " if got == want and finite else "FAIL", part, len(got), "tensors,", sum(t.numel() for t in checkpoint[part].values()), "numbers")
    shared = checkpoint["net"]["pre.0.conv.weight"].data_ptr() == checkpoint["net_ema"]["pre.0.conv.weight"].data_ptr()
    print("epoch", checkpoint["epoch"], "once in the file" if shared else "twice in the file")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(check(*sys.argv[1:]))
